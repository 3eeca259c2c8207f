//! Certificates of an authority of its own, made by the `openssl` program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Proxy, Server, directory, free_port};

/// An authority and what it issued, in files of PEM. Removed when dropped.
pub struct Certificates {
    directory: PathBuf,
}

/// The names of a server that is reached over the loopback.
const LOOPBACK: &str = "DNS:localhost,IP:127.0.0.1";

impl Default for Certificates {
    fn default() -> Certificates {
        Certificates::new()
    }
}

impl Certificates {
    /// An authority, a certificate for servers on this machine (`server`), and one for clients (`client`).
    pub fn new() -> Certificates {
        let certificates = Certificates { directory: directory() };
        // Each authority has a name of its own, because the name is what tells authorities apart.
        let subject = format!("/CN={}", text(Path::new(certificates.directory.file_name().unwrap())));
        certificates.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
            "-subj",
            &subject,
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        certificates.issue("server", LOOPBACK);
        certificates.issue("client", "DNS:client");
        certificates
    }

    /// Issues a certificate for these names, in place of an earlier one: `{file}.pem` and `{file}.key`.
    pub fn issue(&self, file: &str, names: &str) {
        let extensions = format!("subjectAltName={names}\nbasicConstraints=CA:FALSE\n");
        std::fs::write(self.path("extensions"), extensions).unwrap();
        let [key, request, certificate] = ["key", "csr", "new"].map(|kind| format!("{file}.{kind}"));
        self.openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &format!("/CN={file}"),
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-days",
            "30",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            "extensions",
            "-out",
            &certificate,
        ]);
        std::fs::rename(self.path(&certificate), self.path(&format!("{file}.pem"))).unwrap();
    }

    /// The path of a file, there or not.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// The content of a file.
    pub fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).unwrap()
    }

    fn openssl(&self, arguments: &[&str]) {
        let mut command = Command::new("openssl");
        let output = command.args(arguments).current_dir(&self.directory).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("these tests need the program `openssl`: {error}"));
        assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A server that also speaks TLS, and then requires a certificate of the client. What a test asks by [`Server::cli`] goes
/// over its plain port.
pub struct TlsServer {
    /// The server.
    pub server: Server,
    /// What it and its clients show to each other.
    pub certificates: Certificates,
    port: u16,
}

impl TlsServer {
    /// Starts a server.
    pub fn start() -> TlsServer {
        TlsServer::with(&[])
    }

    /// Starts a server with arguments for its command line, such as `--tls-auth-clients no`.
    pub fn with(arguments: &[&str]) -> TlsServer {
        let (certificates, port) = (Certificates::new(), free_port());
        let [pem, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|file| text(&certificates.path(file)));
        let port_text = port.to_string();
        let tls =
            ["--tls-port", &port_text, "--tls-cert-file", &pem, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
        let server = Server::with(&[&tls, arguments].concat());
        TlsServer { server, certificates, port }
    }

    /// Its port for TLS on 127.0.0.1.
    pub fn tls_port(&self) -> u16 {
        self.port
    }

    /// Its address over TLS, without certificates.
    pub fn address(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }

    /// Its address over TLS, with the parameters that it needs.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// A proxy to the port for TLS.
    pub fn proxy(&self) -> Proxy {
        Proxy::to(self.port)
    }

    /// The same as [`url`](Self::url), through a proxy.
    pub fn url_at(&self, port: u16) -> String {
        let [ca, pem, key] = ["ca.pem", "client.pem", "client.key"].map(|file| text(&self.certificates.path(file)));
        format!("rediss://localhost:{port}?ca={ca}&cert={pem}&key={key}")
    }
}

impl std::ops::Deref for TlsServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("the folder for temporary files has a plain name").to_owned()
}
