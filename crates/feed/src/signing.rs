//! Signs deliveries so that their receiver knows who sent them, when, and that nothing was changed (T24).
//!
//! Headers and signature follow the Standard Webhooks specification, version 1: HMAC-SHA256 over `id.timestamp.body`.
use mainstem::feed::{KEY_BYTES, SigningKey};
use sha2::{Digest, Sha256};

const BLOCK_BYTES: usize = 64;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The key as its owner is shown it.
pub fn shown(key: &SigningKey) -> String {
    format!("whsec_{}", base64(&key.0))
}

/// The signature of a delivery, as its header says it.
pub fn signature(key: &SigningKey, id: &str, timestamp: u64, body: &[u8]) -> String {
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    format!("v1,{}", base64(&hmac(&key.0, &signed)))
}

/// HMAC-SHA256 (RFC 2104) with a key that is no longer than a block.
fn hmac(key: &[u8; KEY_BYTES], message: &[u8]) -> [u8; 32] {
    let padded = |pad: u8| {
        let mut block = [pad; BLOCK_BYTES];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

/// Base64 (RFC 4648) with padding.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let is_there = digit <= chunk.len();
            text.push(if is_there { char::from(ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd, 0x00]), "//79AA==");
    }

    #[test]
    fn hmac_is_that_of_the_rfc() {
        // RFC 4231, test case 1; a shorter key is one that ends in zeros.
        let mut key = [0; KEY_BYTES];
        key[..20].fill(0x0b);
        let hex: String = hmac(&key, b"Hi There").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }

    #[test]
    fn every_part_counts() {
        let (key, other) = (SigningKey([1; KEY_BYTES]), SigningKey([2; KEY_BYTES]));
        let signed = signature(&key, "msg_1", 7, b"{}");
        assert!(signed.starts_with("v1,") && shown(&key).starts_with("whsec_"));
        for differs in [
            signature(&other, "msg_1", 7, b"{}"),
            signature(&key, "msg_2", 7, b"{}"),
            signature(&key, "msg_1", 8, b"{}"),
            signature(&key, "msg_1", 7, b"[]"),
        ] {
            assert_ne!(signed, differs);
        }
        assert_eq!(format!("{key:?}"), "a key");
    }
}
