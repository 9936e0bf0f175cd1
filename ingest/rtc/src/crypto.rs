//! The crypto provider of the WebRTC crate, and the one curve more that its publishers need.
//!
//! FFmpeg 8.0 and 8.1 built with GnuTLS, as distributions do, make themselves a certificate on the
//! curve P-224. No provider of the crate verifies its signature. Nothing is signed or agreed on that
//! curve here: the signature shows that the publisher holds the key whose fingerprint it offered.

use std::sync::Arc;

use p224::ecdsa::signature::hazmat::PrehashVerifier;
use p224::ecdsa::{Signature, VerifyingKey};
use rtc::crypto::{
    ActiveKeyExchange, AeadAlgorithm, AeadCipher, BlockCipherAlgorithm, CbcAlgorithm, CbcCipher, CryptoAlgorithm,
    CryptoError, HashAlgorithm, HmacAlgorithm, KeyExchangeAlgorithm, Mac, PublicKey, PublicKeyEncoding, RTCCrypto,
    RTCCryptoProvider, RTCRandom, SignatureScheme, SigningKey, StreamCipher, StreamCipherAlgorithm, default_provider,
};

/// An uncompressed point on P-224, in bytes: its length tells the curve, as the crate does not.
const P224_POINT: usize = 57;

/// The default provider, and P-224.
///
/// # Errors
///
/// No provider is compiled in.
pub(crate) fn provider() -> Result<Arc<dyn RTCCryptoProvider>, CryptoError> {
    Ok(Arc::new(Provider { crypto: Crypto(default_provider()?) }))
}

struct Provider {
    crypto: Crypto,
}

/// Delegates all but the signatures of P-224 keys.
struct Crypto(Arc<dyn RTCCryptoProvider>);

impl RTCCryptoProvider for Provider {
    fn name(&self) -> &'static str {
        self.crypto.0.name()
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        &self.crypto
    }

    fn random(&self) -> &dyn RTCRandom {
        self.crypto.0.random()
    }
}

impl RTCCrypto for Crypto {
    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        key: PublicKey<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let is_p224 = key.encoding == PublicKeyEncoding::EcUncompressedPoint && key.bytes.len() == P224_POINT;
        match scheme {
            // The crate's name for SHA-256 under any curve but P-384.
            SignatureScheme::EcdsaP256Sha256 if is_p224 => {
                verify_p224(key.bytes, &self.hash(HashAlgorithm::Sha256, message)?, signature)
            }
            _ => self.0.crypto().verify_signature(scheme, key, message, signature),
        }
    }

    fn supports(&self, algorithm: CryptoAlgorithm) -> bool {
        self.0.crypto().supports(algorithm)
    }

    fn hash(&self, algorithm: HashAlgorithm, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.0.crypto().hash(algorithm, data)
    }

    fn block_encrypt(&self, algorithm: BlockCipherAlgorithm, key: &[u8], block: &mut [u8]) -> Result<(), CryptoError> {
        self.0.crypto().block_encrypt(algorithm, key, block)
    }

    fn new_hmac(&self, algorithm: HmacAlgorithm, key: &[u8]) -> Result<Box<dyn Mac>, CryptoError> {
        self.0.crypto().new_hmac(algorithm, key)
    }

    fn new_stream_cipher(
        &self,
        algorithm: StreamCipherAlgorithm,
        key: &[u8],
    ) -> Result<Box<dyn StreamCipher>, CryptoError> {
        self.0.crypto().new_stream_cipher(algorithm, key)
    }

    fn new_aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn AeadCipher>, CryptoError> {
        self.0.crypto().new_aead(algorithm, key)
    }

    fn new_cbc(&self, algorithm: CbcAlgorithm, key: &[u8]) -> Result<Box<dyn CbcCipher>, CryptoError> {
        self.0.crypto().new_cbc(algorithm, key)
    }

    fn start_key_exchange(&self, algorithm: KeyExchangeAlgorithm) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        self.0.crypto().start_key_exchange(algorithm)
    }

    fn generate_signing_key(&self, scheme: SignatureScheme) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.0.crypto().generate_signing_key(scheme)
    }

    fn import_signing_key(&self, scheme: SignatureScheme, der: &[u8]) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.0.crypto().import_signing_key(scheme, der)
    }
}

fn verify_p224(point: &[u8], hash: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| CryptoError::InvalidSignature)?;
    let signature = Signature::from_der(signature).map_err(|_| CryptoError::InvalidSignature)?;
    key.verify_prehash(hash, &signature).map_err(|_| CryptoError::InvalidSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by OpenSSL.
    const MESSAGE: &[u8] = b"signed by an old curve";
    const POINT: &str = "0428b1e7d2d92b00ca43adc70780f244b82adbe827459e89d740060d5fdf916a4d39f4e0b6f4341c0636221b0d06cb9aa078ffda323411a655";
    const SIGNATURE: &str = "303d021d009d8535db3acaef063b144b5365b2a41cb18d1b57647eb5eb7be08924021c23576dee95b088e46882bf5701e77b6a9ca737e53dee691f95fcb2ea";

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
        pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
    }

    fn verified(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let provider = provider().expect("compiled in");
        let key = PublicKey { encoding: PublicKeyEncoding::EcUncompressedPoint, bytes: point };
        provider.crypto().verify_signature(SignatureScheme::EcdsaP256Sha256, key, message, signature).is_ok()
    }

    #[test]
    fn a_signature_on_p224_is_verified_and_a_forged_one_refused() {
        let (point, signature) = (bytes(POINT), bytes(SIGNATURE));
        assert!(verified(&point, MESSAGE, &signature));
        assert!(!verified(&point, b"signed by an old curve?", &signature));
        let mut forged = signature.clone();
        forged[40] ^= 1;
        assert!(!verified(&point, MESSAGE, &forged));
        assert!(!verified(&point, MESSAGE, &signature[..20]));
        let mut elsewhere = point.clone();
        elsewhere[30] ^= 1;
        assert!(!verified(&elsewhere, MESSAGE, &signature));
    }

    #[test]
    fn other_curves_are_the_default_providers_business() {
        let provider = provider().expect("compiled in");
        let key = provider.crypto().generate_signing_key(SignatureScheme::EcdsaP256Sha256).expect("a key");
        let signature = key.sign(SignatureScheme::EcdsaP256Sha256, MESSAGE).expect("a signature");
        let point = key.public_key().bytes;
        assert!(verified(point, MESSAGE, signature.as_ref()));
        assert!(!verified(point, b"another", signature.as_ref()));
    }
}
