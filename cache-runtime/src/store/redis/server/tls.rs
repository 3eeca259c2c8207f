//! TLS through rustls.

/// Ensures that rustls has a cryptography provider: without one, connecting would panic. A provider that the program
/// installed stays.
pub(crate) fn install_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // This is refused only if another thread was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
