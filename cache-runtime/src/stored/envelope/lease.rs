//! Leases, and the tokens that identify them.

use super::layout::{
    ID, LEASE, LEASE_FORMAT, LEASE_LEN, MARK_TOKEN, SEALED_LEASE_LEN, VALUE, VALUE_FORMAT, array_in, u64_in,
};
use super::tags::Seal;
use crate::error::{Error, ErrorKind};

/// Sixteen bytes from the operating system's randomness: a lease's token, a value's id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token(pub(super) [u8; 16]);

impl Token {
    /// Returns `None` if the operating system has no randomness to give: then nothing can be leased.
    pub(crate) fn random() -> Option<Token> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(Token(bytes))
    }

    /// Returns two tokens, by one system call.
    pub(crate) fn two() -> Option<(Token, Token)> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok()?;
        Some((Token(array_in(&bytes, 0..16)), Token(array_in(&bytes, 16..32))))
    }

    /// The token of a lease, or the id of a value.
    pub(super) fn of(bytes: &[u8]) -> Token {
        Token(array_in(bytes, ID))
    }

    /// The refresh token of a value, if there is one.
    pub(super) fn of_mark(bytes: &[u8]) -> Option<Token> {
        let token = array_in(bytes, MARK_TOKEN);
        (token != [0; 16]).then_some(Token(token))
    }

    /// The error of a caller that gets no token.
    pub(crate) fn none() -> Error {
        Error::new(ErrorKind::Unsupported, "the operating system has no randomness to give")
    }

    pub(crate) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The first half of the token, for other uses of randomness.
    pub(crate) fn as_random(&self) -> u64 {
        u64_in(&self.0, 0..8)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The place of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeasePlace {
    /// The lease is alone in the slot.
    Slot,
    /// The lease is in the header of a value, which stays readable.
    Value,
}

/// The right to fill one slot, for `millis` unless renewed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    bytes: [u8; SEALED_LEASE_LEN],
    token: Token,
    place: LeasePlace,
    seal: Seal,
    pub(crate) millis: u64,
}

impl Lease {
    /// A lease for a slot that holds nothing readable. A value that is computed under it has this seal.
    pub(crate) fn new(token: Token, seal: Seal, millis: u64) -> Lease {
        let mut bytes = [0; SEALED_LEASE_LEN];
        bytes[..LEASE_LEN].copy_from_slice(&front([LEASE, LEASE_FORMAT], token));
        bytes[LEASE_LEN..].copy_from_slice(&seal.0.to_le_bytes());
        Lease { bytes, token, place: LeasePlace::Slot, seal, millis }
    }

    /// A lease for refreshing a value.
    pub(crate) fn in_value(token: Token, seal: Seal, millis: u64) -> Lease {
        Lease { place: LeasePlace::Value, ..Lease::new(token, seal, millis) }
    }

    pub(crate) fn seal(&self) -> Seal {
        self.seal
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    pub(crate) fn place(&self) -> LeasePlace {
        self.place
    }

    /// The content of the slot while a lease in place `Slot` is valid.
    pub(crate) fn bytes(&self) -> &[u8] {
        let len = if self.seal == Seal::default() { LEASE_LEN } else { SEALED_LEASE_LEN };
        &self.bytes[..len]
    }

    /// The bytes that a store compares to find the lease valid: the whole slot, or the token in a value's header. They
    /// differ in length, so that neither is ever taken for the other.
    pub(crate) fn proof(&self) -> &[u8] {
        match self.place {
            LeasePlace::Slot => self.bytes(),
            LeasePlace::Value => &self.token.0,
        }
    }
}

/// The first bytes of a value with this id.
pub(crate) fn value_front(id: Token) -> [u8; 18] {
    front([VALUE, VALUE_FORMAT], id)
}

fn front(kind: [u8; 2], token: Token) -> [u8; 18] {
    let mut bytes = [0; 18];
    bytes[..2].copy_from_slice(&kind);
    bytes[2..].copy_from_slice(&token.0);
    bytes
}
