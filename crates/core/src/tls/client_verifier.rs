//! What the client listener asks of a certificate in the handshake: that the client holds its key, and that the
//! chain is not absurdly long. Trust is judged per request by `pre_auth`; only in `abort` mode also here.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};

use webpki::{EndEntityCert, RawPublicKeyEntity};

use super::certificate;
use super::chain::{ChainFault, within_caps};

/// Judges a chain in the handshake.
pub type HandshakeJudge = Arc<dyn Fn(&[CertificateDer<'_>], UnixTime) -> Result<(), ChainFault> + Send + Sync>;

/// What becomes of a client without a certificate that is trusted (G-05).
#[derive(Clone)]
pub enum Unauthenticated {
    /// The handshake passes; the request is refused with its code.
    Explain,
    /// The handshake fails, with the same alert whatever the reason.
    Abort(HandshakeJudge),
}

/// The verifier of the client listener.
pub struct ClientCertificates {
    unauthenticated: Unauthenticated,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertificates {
    pub fn new(unauthenticated: Unauthenticated) -> Self {
        Self { unauthenticated, algorithms: super::provider().signature_verification_algorithms }
    }
}

impl ClientCertificates {
    /// A certificate that webpki does not read at all (version 1, critical extensions that it does not know) is
    /// refused by every judge later; in `explain` mode the client shall learn why, so that here only its key counts.
    fn or_by_key(
        &self,
        verdict: Result<HandshakeSignatureValid, Error>,
        der: &CertificateDer<'_>,
        by_key: impl FnOnce(&SubjectPublicKeyInfoDer<'_>) -> Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if verdict.is_ok() || EndEntityCert::try_from(der).is_ok() {
            return verdict;
        }
        let read = certificate::read(der).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        by_key(&SubjectPublicKeyInfoDer::from(read.public_key().raw))
    }
}

/// As rustls does it for a certificate: in TLS 1.2 one scheme stands for several algorithms.
fn verify_tls12_by_key(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
    let key = RawPublicKeyEntity::try_from(key).map_err(|_| bad())?;
    let candidates = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme).map(|(_, found)| *found);
    let fits = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        key.verify_signature(*algorithm, message, signed.signature()).is_ok()
    };
    if candidates.unwrap_or_default().iter().any(fits) { Ok(HandshakeSignatureValid::assertion()) } else { Err(bad()) }
}

impl fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.unauthenticated {
            Unauthenticated::Explain => "explain",
            Unauthenticated::Abort(_) => "abort",
        };
        f.debug_struct("ClientCertificates").field("unauthenticated", &mode).finish()
    }
}

impl ClientCertVerifier for ClientCertificates {
    fn client_auth_mandatory(&self) -> bool {
        matches!(self.unauthenticated, Unauthenticated::Abort(_))
    }

    /// None: clients of Windows offer only certificates of issuers that are hinted at, if any are.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> =
            std::iter::once(end_entity).chain(intermediates).map(|der| CertificateDer::from(der.as_ref())).collect();
        let judged = within_caps(&chain).and_then(|()| match &self.unauthenticated {
            Unauthenticated::Explain => Ok(()),
            Unauthenticated::Abort(judge) => judge(&chain, now),
        });
        // The fault travels inside for our log; on the wire all are one alert.
        judged.map_err(|fault| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault)))))?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verdict = verify_tls12_signature(message, certificate, signed, &self.algorithms);
        self.or_by_key(verdict, certificate, |key| verify_tls12_by_key(message, key, signed, &self.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verdict = verify_tls13_signature(message, certificate, signed, &self.algorithms);
        self.or_by_key(verdict, certificate, |key| {
            verify_tls13_signature_with_raw_key(message, key, signed, &self.algorithms)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
