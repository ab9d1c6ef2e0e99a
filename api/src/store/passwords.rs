//! Password hashes (argon2id) and what a password must be.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use tokio::sync::Semaphore;
use zonglan_catalog::error::{Error, FieldError, Result};

/// 19 MiB, two passes, one lane: the smallest set-up that OWASP recommends for argon2id
/// (Password Storage Cheat Sheet), chosen so that twenty sign-ins a second fit on two cores.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;

const MIN_LENGTH: usize = 8;
const MAX_LENGTH: usize = 128;

/// Computes hashes off the async threads, a few at a time, so that a burst of sign-ins holds
/// neither the memory nor all cores.
#[derive(Debug, Clone)]
pub(super) struct Hasher {
    slots: Arc<Semaphore>,
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

impl Hasher {
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { slots: Arc::new(Semaphore::new(cores.max(2))) }
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let _slot = self.slots.acquire().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }

    /// The PHC string of a password, with a salt of its own.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = password.to_string();
        self.run(move || {
            let hash: PasswordHash =
                argon2()?.hash_password(password.as_bytes()).map_err(|e| Error::internal(e.to_string()))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether the password is that of the hash. Without a hash the same time passes and the
    /// answer is no, so that times do not tell which users exist.
    pub async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool> {
        if password.len() > MAX_LENGTH * 4 {
            return Ok(false);
        }
        let password = password.to_string();
        self.run(move || {
            let argon2 = argon2()?;
            let Some(hash) = hash else {
                let _: Result<PasswordHash, _> =
                    argon2.hash_password_with_salt(password.as_bytes(), b"no such user here");
                return Ok(false);
            };
            let hash = PasswordHash::new(&hash).map_err(|e| Error::internal(e.to_string()))?;
            Ok(argon2.verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }
}

/// Eight characters of three kinds at least (GB/T 22239-2019, 8.1.4.1 asks for complexity without
/// figures; these are the usual ones), and not the user's name.
pub(super) fn check_strength(username: &str, password: &str) -> Result<()> {
    let length = password.chars().count();
    let kinds: [fn(char) -> bool; 4] =
        [|c| c.is_lowercase(), |c| c.is_uppercase(), |c| c.is_ascii_digit(), |c| !c.is_alphanumeric()];
    let used = kinds.iter().filter(|kind| password.chars().any(**kind)).count();
    let message = if !(MIN_LENGTH..=MAX_LENGTH).contains(&length) {
        format!("密码需 {MIN_LENGTH} 到 {MAX_LENGTH} 个字符")
    } else if used < 3 {
        "密码需包含小写字母、大写字母、数字、符号中的三种".into()
    } else if password.to_lowercase().contains(&username.to_lowercase()) {
        "密码不能包含用户名".into()
    } else {
        return Ok(());
    };
    Err(Error::user("identity.weak_password", message.clone())
        .with_fields(vec![FieldError { field: "password".into(), message }]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_refused() {
        for weak in ["Ab1!", "alllowercase1", "Clerk-2026x"] {
            assert!(check_strength("clerk", weak).is_err(), "{weak}");
        }
        check_strength("clerk", "Shanghai-2026").expect("strong");
    }

    #[tokio::test]
    async fn hashes_verify() {
        let hasher = Hasher::new();
        let hash = hasher.hash("Shanghai-2026").await.expect("hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.verify("Shanghai-2026", Some(hash.clone())).await.expect("runs"));
        assert!(!hasher.verify("shanghai-2026", Some(hash)).await.expect("runs"));
        assert!(!hasher.verify("Shanghai-2026", None).await.expect("runs"));
    }
}
