//! National algorithms behind one trait: SM3 hashes, SM3-HMAC, SM2 signatures, SM4-GCM.
//!
//! [`SoftCrypto`] computes in this process with key files outside the database; a cryptographic
//! device implements the same trait.

use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, Nonce, Payload};
use hmac::{Hmac, KeyInit, Mac};
use sm2::dsa::signature::{Signer, Verifier};
use sm2::dsa::{Signature, SigningKey, VerifyingKey};
use sm3::{Digest, Sm3};
use sm4::Sm4;
use std::io::{self, Write};
use std::path::Path;
use zonglan_catalog::error::{Error, Result};

/// The distinguishing identifier that GM/T 0009 prescribes where signer and verifier agreed on no other.
pub const DISTID: &str = "1234567812345678";

/// Hashes, message authentication and signatures.
pub trait CryptoProvider: Send + Sync {
    /// SM3-HMAC of the parts end to end under the store's MAC key.
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32];
    /// SM3 of the parts end to end.
    fn hash(&self, parts: &[&[u8]]) -> [u8; 32];
    /// SM2 signature `r || s` over the message, with [`DISTID`].
    fn sign(&self, message: &[u8]) -> [u8; 64];
    /// Whether `signature` is one of the key `public_key` (SEC1, uncompressed) over the message.
    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool;
    /// The signing key's public half, SEC1 uncompressed (65 bytes).
    fn public_key(&self) -> Vec<u8>;
    /// Seals a value with the newest key of fields; what it belongs to (`context`) is bound to it.
    fn seal(&self, context: &[u8], plain: &[u8]) -> Sealed;
    /// The value again. `None`: the key is missing, or value or context were altered.
    fn open(&self, context: &[u8], sealed: &Sealed) -> Option<Vec<u8>>;
    /// Keyed hashes of a value by which equal ones are found, of the newest key first: values that
    /// older keys sealed still carry the older hashes.
    fn blind(&self, context: &[u8], value: &[u8]) -> Vec<[u8; 16]>;
    /// The number of the newest key of fields.
    fn field_key(&self) -> u32;
}

/// A sealed value: the key's number, and nonce (12 bytes), ciphertext and tag (16 bytes) end to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub key: u32,
    pub bytes: Vec<u8>,
}

type Sm4Gcm = AesGcm<Sm4, U12>;

/// What one key file of fields gives: a cipher, and keys of the nonce and of the blind index.
struct FieldKey {
    number: u32,
    cipher: Sm4Gcm,
    nonce: Hmac<Sm3>,
    blind: Hmac<Sm3>,
}

impl FieldKey {
    fn new(number: u32, secret: &[u8; 32]) -> Result<Self> {
        let broken = |_| Error::internal("a key of the wrong length");
        let of = |what: &[u8]| -> Result<[u8; 32]> {
            let mut mac = Hmac::<Sm3>::new_from_slice(secret).map_err(broken)?;
            mac.update(what);
            Ok(mac.finalize().into_bytes().into())
        };
        Ok(Self {
            number,
            cipher: Sm4Gcm::new_from_slice(&of(b"zonglan field cipher")?[..16]).map_err(broken)?,
            nonce: Hmac::new_from_slice(&of(b"zonglan field nonce")?).map_err(broken)?,
            blind: Hmac::new_from_slice(&of(b"zonglan field blind")?).map_err(broken)?,
        })
    }
}

/// SM3-HMAC over parts whose lengths are part of what is hashed.
fn keyed(mac: &Hmac<Sm3>, parts: [&[u8]; 2]) -> [u8; 32] {
    let mut mac = mac.clone();
    mac.update(&(parts[0].len() as u64).to_be_bytes());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// The software implementation. Keys are files of mode 0600 in the keys folder.
pub struct SoftCrypto {
    mac: Hmac<Sm3>,
    signing: SigningKey,
    /// Keys of fields, the newest last; never empty.
    fields: Vec<FieldKey>,
}

impl std::fmt::Debug for SoftCrypto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoftCrypto").finish_non_exhaustive()
    }
}

const MAC_KEY: &str = "log-mac.key";
const SIGN_KEY: &str = "checkpoint-sm2.key";
/// Keys of fields are `field-1.key`, `field-2.key` and so on: each rotation adds one.
const FIELD_KEY: &str = "field-";

impl SoftCrypto {
    /// Reads the keys of `dir`; missing ones are made, unless `dir` is that of a store that has
    /// entries already (`fresh` false), where a new key would hide a loss.
    pub fn load_or_create(dir: &Path, fresh: bool) -> Result<Self> {
        create_private_dir(dir).map_err(|e| key_error(dir, e))?;
        let mac = load_key(&dir.join(MAC_KEY), fresh)?;
        let mac = Hmac::<Sm3>::new_from_slice(&mac).map_err(|e| Error::internal(e.to_string()))?;
        let path = dir.join(SIGN_KEY);
        let secret = load_key(&path, fresh)?;
        let signing =
            SigningKey::from_slice(DISTID, &secret).map_err(|e| key_error(&path, io::Error::other(e.to_string())))?;
        let mut numbers = Self::field_keys(dir)?;
        if numbers.is_empty() {
            // Stores of before this key have nothing sealed by it.
            numbers.push(1);
        }
        let field = |number: &u32| FieldKey::new(*number, &load_key(&field_path(dir, *number), true)?);
        let fields = numbers.iter().map(field).collect::<Result<_>>()?;
        Ok(Self { mac, signing, fields })
    }

    /// The numbers of the keys of fields, in order.
    pub fn field_keys(dir: &Path) -> Result<Vec<u32>> {
        field_keys(dir).map_err(|e| key_error(dir, e))
    }

    /// Adds a key of fields, which seals from the next opening on; returns its number. Older keys
    /// stay: the change log is never written again.
    pub fn rotate(dir: &Path) -> Result<u32> {
        let next = Self::field_keys(dir)?.last().map_or(1, |last| last + 1);
        load_key(&field_path(dir, next), true)?;
        Ok(next)
    }
}

fn field_path(dir: &Path, number: u32) -> std::path::PathBuf {
    dir.join(format!("{FIELD_KEY}{number}.key"))
}

fn field_keys(dir: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix(FIELD_KEY)?.strip_suffix(".key")?.parse::<u32>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl CryptoProvider for SoftCrypto {
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        sm3(parts)
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.signing.sign(message);
        signature.to_bytes().into()
    }

    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        verify_signature(DISTID, public_key, message, signature)
    }

    fn public_key(&self) -> Vec<u8> {
        self.signing.verifying_key().to_sec1_bytes().into_vec()
    }

    fn seal(&self, context: &[u8], plain: &[u8]) -> Sealed {
        let key = &self.fields[self.fields.len() - 1];
        // The nonce depends on context and value: equal values of one place give equal bytes, so
        // that an unchanged record is an unchanged document, and no nonce serves two values.
        let nonce: [u8; 12] = std::array::from_fn({
            let hash = keyed(&key.nonce, [context, plain]);
            move |i| hash[i]
        });
        let mut bytes = nonce.to_vec();
        let payload = Payload { msg: plain, aad: context };
        bytes
            .extend(key.cipher.encrypt(&Nonce::<Sm4Gcm>::from(nonce), payload).expect("a field is shorter than 64 GB"));
        Sealed { key: key.number, bytes }
    }

    fn open(&self, context: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
        let key = self.fields.iter().find(|k| k.number == sealed.key)?;
        let (nonce, text) = sealed.bytes.split_first_chunk::<12>()?;
        key.cipher.decrypt(&Nonce::<Sm4Gcm>::from(*nonce), Payload { msg: text, aad: context }).ok()
    }

    fn blind(&self, context: &[u8], value: &[u8]) -> Vec<[u8; 16]> {
        let short = |k: &FieldKey| {
            let hash = keyed(&k.blind, [context, value]);
            std::array::from_fn(|i| hash[i])
        };
        self.fields.iter().rev().map(short).collect()
    }

    fn field_key(&self) -> u32 {
        self.fields[self.fields.len() - 1].number
    }
}

/// SM3 of the parts end to end.
pub fn sm3(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sm3::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// SM3 of what a reader gives.
pub fn sm3_of(mut reader: impl io::Read) -> io::Result<[u8; 32]> {
    let mut hash = StreamHash::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hash.finish()),
            n => hash.add(&buffer[..n]),
        }
    }
}

/// SM3 of bytes that come bit by bit.
#[derive(Clone, Default)]
pub struct StreamHash(Sm3);

impl StreamHash {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Checks an SM2 signature `r || s`. Malformed keys and signatures are simply not valid.
pub fn verify_signature(distid: &str, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_sec1_bytes(distid, public_key) else { return false };
    Signature::from_slice(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}

/// `count` random bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Error::internal(format!("no random numbers from the system: {e}")))?;
    Ok(bytes)
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let text = text.trim().as_bytes();
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16);
    text.chunks(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

fn key_error(path: &Path, error: io::Error) -> Error {
    Error::internal(format!("key file {}: {error}", path.display()))
        .with_hint("密钥文件丢失时，请从备份恢复 keys 目录；没有它就无法校验变更日志")
}

/// Reads a key of 32 bytes in hex. A missing one is made where `create` allows it.
fn load_key(path: &Path, create: bool) -> Result<[u8; 32]> {
    match std::fs::read_to_string(path) {
        Ok(text) => unhex(&text)
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or_else(|| key_error(path, io::Error::new(io::ErrorKind::InvalidData, "not 64 hexadecimal digits"))),
        Err(e) if e.kind() == io::ErrorKind::NotFound && create => {
            // Every value but a few around zero and the order is a private key of SM2.
            let mut key = random::<32>()?;
            while SigningKey::from_slice(DISTID, &key).is_err() {
                key = random::<32>()?;
            }
            write_private(path, hex(&key).as_bytes()).map_err(|e| key_error(path, e))?;
            Ok(key)
        }
        Err(e) => Err(key_error(path, e)),
    }
}

fn create_private_dir(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    if let Some(dir) = path.parent() {
        std::fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GB/T 32905-2016, appendix A.
    #[test]
    fn sm3_vectors() {
        let check = |message: &[u8], expect: &str| assert_eq!(hex(&sm3(&[message])), expect);
        check(b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
        check("abcd".repeat(16).as_bytes(), "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732");
        check(b"", "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b");
    }

    /// GB/T 32918.5-2017, appendix A.2: the curve's example key signs "message digest".
    #[test]
    fn sm2_vector_verifies() {
        let key = unhex(concat!(
            "04",
            "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020",
            "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
        ))
        .expect("hex");
        let signature = unhex(concat!(
            "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3",
            "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
        ))
        .expect("hex");
        assert!(verify_signature(DISTID, &key, b"message digest", &signature));
        assert!(!verify_signature(DISTID, &key, b"message digesT", &signature));
        assert!(!verify_signature("8765432187654321", &key, b"message digest", &signature));
        let private = unhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8").expect("hex");
        let signing = SigningKey::from_slice(DISTID, &private).expect("key");
        assert_eq!(signing.verifying_key().to_sec1_bytes().as_ref(), key);
    }

    /// GB/T 32907-2016, appendix A, and RFC 8998, appendix A.1.
    #[test]
    fn sm4_vectors() {
        use sm4::cipher::{BlockCipherDecrypt, BlockCipherEncrypt};
        let key = unhex("0123456789abcdeffedcba9876543210").expect("hex");
        let cipher = Sm4::new_from_slice(&key).expect("16 bytes");
        let start: [u8; 16] = key.clone().try_into().expect("16 bytes");
        let mut block = start.into();
        cipher.encrypt_block(&mut block);
        assert_eq!(hex(&block), "681edf34d206965e86b3e94f536e4246");
        cipher.decrypt_block(&mut block);
        assert_eq!(block[..], start);

        let gcm = Sm4Gcm::new_from_slice(&key).expect("16 bytes");
        let nonce: [u8; 12] = unhex("00001234567800000000abcd").expect("hex").try_into().expect("12 bytes");
        let aad = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2").expect("hex");
        let plain: Vec<u8> = [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0xee, 0xaa].iter().flat_map(|b| [*b; 8]).collect();
        let nonce = Nonce::<Sm4Gcm>::from(nonce);
        let sealed = gcm.encrypt(&nonce, Payload { msg: &plain, aad: &aad }).expect("short");
        assert_eq!(
            hex(&sealed),
            concat!(
                "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735",
                "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
                "83de3541e4c2b58177e065a9bf7b62ec"
            )
        );
        assert_eq!(gcm.decrypt(&nonce, Payload { msg: &sealed, aad: &aad }).expect("whole"), plain);
        let mut altered = sealed.clone();
        altered[0] ^= 1;
        assert!(gcm.decrypt(&nonce, Payload { msg: &altered, aad: &aad }).is_err());
    }

    #[test]
    fn sealed_values_belong_to_their_place_and_outlive_a_rotation() {
        let dir = tempfile::tempdir().expect("temp dir");
        let old = SoftCrypto::load_or_create(dir.path(), true).expect("keys");
        let plain = "李雷𠮷".as_bytes();
        let sealed = old.seal(b"lost_person/name/1", plain);
        assert_eq!(sealed, old.seal(b"lost_person/name/1", plain), "the same place and value");
        assert_ne!(sealed.bytes, old.seal(b"lost_person/name/2", plain).bytes);
        assert_eq!(old.open(b"lost_person/name/1", &sealed).as_deref(), Some(plain));
        assert_eq!(old.open(b"lost_person/name/2", &sealed), None, "moved to another record");
        assert_eq!(SoftCrypto::rotate(dir.path()).expect("rotated"), 2);
        let new = SoftCrypto::load_or_create(dir.path(), false).expect("keys");
        assert_eq!((old.field_key(), new.field_key()), (1, 2));
        assert_eq!(new.open(b"lost_person/name/1", &sealed).as_deref(), Some(plain));
        let again = new.seal(b"lost_person/name/1", plain);
        assert_eq!(again.key, 2);
        assert_eq!(old.open(b"lost_person/name/1", &again), None, "the old keys do not open it");
        assert_eq!(new.blind(b"f", plain)[1], old.blind(b"f", plain)[0]);
        assert_ne!(new.blind(b"f", plain)[0], new.blind(b"g", plain)[0]);
    }

    /// HMAC (RFC 2104) written out over the hash that the vectors above check.
    #[test]
    fn sm3_hmac_is_rfc_2104() {
        let dir = tempfile::tempdir().expect("temp dir");
        let crypto = SoftCrypto::load_or_create(dir.path(), true).expect("keys");
        let key = unhex(&std::fs::read_to_string(dir.path().join(MAC_KEY)).expect("key file")).expect("hex");
        let pad = |byte: u8| -> Vec<u8> { (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ byte).collect() };
        let expect = sm3(&[&pad(0x5c), &sm3(&[&pad(0x36), b"text"])]);
        assert_eq!(crypto.mac(&[b"te", b"xt"]), expect);
    }

    #[test]
    fn keys_are_private_and_kept() {
        let dir = tempfile::tempdir().expect("temp dir");
        let keys = dir.path().join("keys");
        assert!(SoftCrypto::load_or_create(&keys, false).is_err(), "a lost key is not replaced in silence");
        let first = SoftCrypto::load_or_create(&keys, true).expect("made");
        let again = SoftCrypto::load_or_create(&keys, false).expect("kept");
        assert_eq!(first.mac(&[b"x"]), again.mac(&[b"x"]));
        assert!(again.verify(&first.public_key(), b"m", &first.sign(b"m")));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(keys.join(MAC_KEY)).expect("file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
