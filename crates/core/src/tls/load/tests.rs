//! Files as administrators have them, and what each error says.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::tls::test_pki::{Authority, client_params, server_params};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    use std::fmt::Write;
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in der.chunks(3) {
        let bits = part.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for at in 0..4 {
            let digit =
                if at <= part.len() { char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]) } else { '=' };
            write!(text, "{digit}").unwrap();
        }
    }
    format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
}

fn certificate_pem(der: &[u8]) -> String {
    pem("CERTIFICATE", der)
}

#[test]
fn a_certificate_and_its_key_are_loaded_without_the_root() {
    let folder = Folder::new();
    let root = Authority::root("Root");
    let issuing = root.authority("Issuing");
    let leaf = issuing.leaf(server_params("gw", &["gw.example"]));
    let chain = [&leaf.der, &issuing.der, &root.der].map(|der| certificate_pem(der)).concat();
    let chain = folder.file("gw.pem", format!("a comment\n{chain}"));
    let key = folder.file("gw.key", leaf.key.serialize_pem());
    assert_eq!(certificates(&chain).unwrap().len(), 3);
    let loaded = certified_key(&chain, &key).unwrap();
    assert_eq!(loaded.cert, [leaf.der, issuing.der], "the root is not sent");
}

#[test]
fn a_self_signed_certificate_of_its_own_is_kept() {
    let folder = Folder::new();
    let leaf = crate::tls::test_pki::Leaf::self_signed(server_params("gw", &["gw.example"]));
    let loaded = certified_key(
        &folder.file("gw.pem", certificate_pem(&leaf.der)),
        &folder.file("gw.key", leaf.key.serialize_pem()),
    );
    assert_eq!(loaded.unwrap().cert, [leaf.der]);
}

#[test]
fn every_error_names_the_file_and_what_is_wrong() {
    let folder = Folder::new();
    let root = Authority::root("Root");
    let leaf = root.leaf(client_params("PC-1"));
    let key = leaf.key.serialize_pem();
    let good = certificate_pem(&leaf.der);
    let junk = certificate_pem(b"junk");
    let bad_certificates: [(&str, Vec<u8>, &str); 9] = [
        ("empty.pem", vec![], "holds no certificate; a block"),
        ("key.pem", key.clone().into(), "holds no certificate but a private key"),
        ("request.pem", pem("CERTIFICATE REQUEST", b"x").into(), "a certificate request that has yet to be signed"),
        ("der.pem", leaf.der.to_vec(), "openssl x509 -inform DER"),
        ("junk.pem", junk.clone().into(), "certificate 1 cannot be used: it is not an X.509 certificate"),
        ("second.pem", format!("{good}{junk}").into(), "certificate 2 cannot be used"),
        ("cut.pem", good[..good.len() - 30].to_owned().into(), "a block has no END line"),
        ("base64.pem", good.replace("MII", "M*I").into(), "is not base64"),
        ("huge.pem", vec![b'#'; limits::PEM_FILE + 1], "is larger than 1048576 bytes"),
    ];
    for (name, bytes, why) in bad_certificates {
        let path = folder.file(name, bytes);
        let fault = certificates(&path).unwrap_err().to_string();
        assert!(fault.starts_with(&path.display().to_string()) && fault.contains(why), "{fault}");
    }
    let bad_keys: [(&str, Vec<u8>, &str); 4] = [
        ("none.key", vec![], "holds no private key; a block"),
        ("certificate.key", good.clone().into(), "holds no private key but a certificate"),
        ("encrypted.key", pem("ENCRYPTED PRIVATE KEY", b"x").into(), "openssl pkey -in FILE"),
        ("der.key", leaf.key.serialize_der(), "openssl pkey -inform DER"),
    ];
    for (name, bytes, why) in bad_keys {
        let fault = private_key(&folder.file(name, bytes)).unwrap_err().to_string();
        assert!(fault.contains(name) && fault.contains(why), "{fault}");
    }
    let missing = certificates(Path::new("no/such/file.pem")).unwrap_err().to_string();
    assert!(missing.starts_with("no/such/file.pem: cannot be read: No such file"), "{missing}");

    let chain = folder.file("chain.pem", good);
    let other = folder.file("other.key", root.leaf(client_params("PC-2")).key.serialize_pem());
    let fault = certified_key(&chain, &other).unwrap_err().to_string();
    assert!(fault.contains("other.key: the private key does not belong to the certificate `CN=PC-1` in"), "{fault}");
    let broken = folder.file("broken.key", pem("PRIVATE KEY", b"junk"));
    let fault = certified_key(&chain, &broken).unwrap_err().to_string();
    assert!(fault.contains("broken.key: the private key cannot be used"), "{fault}");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = Folder::new();
    let key = folder.file("gw.key", Authority::root("Root").leaf(client_params("PC-1")).key.serialize_pem());
    for (mode, accepted) in
        [(0o600, true), (0o400, true), (0o700, true), (0o640, false), (0o604, false), (0o660, false)]
    {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        match private_key(&key) {
            Ok(_) => assert!(accepted, "{mode:o}"),
            Err(fault) => {
                assert!(!accepted, "{mode:o}");
                let fault = fault.to_string();
                assert!(fault.contains(&format!("(mode 0{mode:o}); run: chmod 600 {}", key.display())), "{fault}");
            }
        }
    }
}
