//! TLS through rustls.

/// Sees to it that rustls has a cryptography provider: without one, connecting would panic. One
/// that the program installed is left in place.
pub(crate) fn install_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Refused only if another thread was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
