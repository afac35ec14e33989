//! Credentials that a program uses without having them: made ready before it starts, gone when it has ended.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use aecl_sandbox::{Access, View};

use super::ProcessSpec;
use aecl_egress::broker::{CredentialSubstitution, Credentials};
use aecl_egress::egress::Destination;
use aecl_egress::vault::{Secret, SecretRef, Use, Vault, VaultError, references};

/// Where programs find the certificates that they trust.
const AT: &str = "/aecl/certificates.pem";

/// How they learn of it; each of these is read by some.
pub(super) const VARIABLES: [&str; 8] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_CAFILE",
    "CARGO_HTTP_CAINFO",
];

/// Where hosts keep the authorities that they trust, in one file.
const OF_THE_HOST: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// What stands ready for one program.
pub(super) struct Ready {
    /// For the broker.
    pub credentials: Option<Credentials>,
    /// For the program: placeholders, and where the certificates are.
    pub env: BTreeMap<String, String>,
    /// The certificates, in its cage.
    pub view: View,
    // Held until the program has ended: leases end with it, and so does the file.
    _secrets: Use,
    _file: Bundle,
}

/// Why a program that needs credentials does not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotReady {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("{0}")]
    Other(String),
}

/// Fetches what the rules name, and makes what stands for it.
pub(super) async fn ready(spec: &ProcessSpec, vault: &Vault) -> Result<Option<Ready>, NotReady> {
    let mut secrets = vault.begin();
    let (mut substitutions, mut env) = (Vec::new(), BTreeMap::new());
    for allow in &spec.egress {
        let Some(credential) = &allow.credential else { continue };
        let other = |why: &str| NotReady::Other(format!("the credential of `{}`: {why}", allow.host));
        let named: Vec<SecretRef> = references(&credential.secret)?;
        let reference = named.first().ok_or_else(|| other("it names no secret"))?;
        let value = secrets.resolve(reference).await?.expose();
        if value.len() < 8 {
            return Err(other("it is shorter than 8 characters, and could not be told from other words"));
        }
        if value.bytes().any(|b| !(b' '..=b'~').contains(&b)) {
            return Err(other("it holds characters that no header may hold"));
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|e| other(&e.to_string()))?;
        let placeholder =
            random.iter().fold(String::from("aecl-placeholder-"), |text, byte| text + &format!("{byte:02x}"));
        env.insert(credential.variable.clone(), placeholder.clone());
        substitutions.push(CredentialSubstitution {
            to: Destination::parse(&format!("{}:{}", allow.host, allow.port), None)
                .ok_or_else(|| other("its host is none"))?,
            header: credential.header.clone(),
            methods: credential.methods.clone(),
            path: credential.path.clone(),
            placeholder,
            secret: Secret::new(value.to_owned()),
        });
    }
    if substitutions.is_empty() {
        return Ok(None);
    }
    let credentials = Credentials::new(substitutions).map_err(NotReady::Other)?;
    let file = Bundle::write(&credentials.authority_pem)
        .map_err(|e| NotReady::Other(format!("the certificates for the cage cannot be written: {e}")))?;
    env.extend(VARIABLES.map(|name| (name.to_owned(), AT.to_owned())));
    let view = View { source: file.0.join("certificates.pem"), at: AT.into(), access: Access::ReadOnly };
    Ok(Some(Ready { credentials: Some(credentials), env, view, _secrets: secrets, _file: file }))
}

/// A directory of our own with the certificates that a program trusts. It holds no secret, and goes with us.
struct Bundle(PathBuf);

impl Bundle {
    fn write(authority: &str) -> std::io::Result<Self> {
        let ours = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let places = ours.into_iter().chain(OF_THE_HOST.map(PathBuf::from));
        let mut text = places.filter_map(|place| std::fs::read(place).ok()).next().unwrap_or_default();
        text.extend_from_slice(format!("\n{authority}").as_bytes());
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(std::io::Error::other)?;
        let name = random.iter().fold(String::from("aecl-cage-"), |text, byte| text + &format!("{byte:02x}"));
        let dir = std::env::temp_dir().canonicalize()?.join(name);
        std::fs::DirBuilder::new().mode(0o755).create(&dir)?;
        let bundle = Self(dir);
        let path = bundle.0.join("certificates.pem");
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
        std::io::Write::write_all(&mut file, &text)?;
        Ok(bundle)
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
