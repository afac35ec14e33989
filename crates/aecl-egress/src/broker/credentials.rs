//! Credentials that a caged program uses and never has: it sends a placeholder, and the real value takes its
//! place on the way, in one header, for one host, some methods and paths.
//!
//! For that the broker ends the TLS of such a host itself, with an authority that lives as long as the program,
//! is trusted in its cage only, and may vouch for nobody but these hosts.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, ServerConfig};
use rustls_platform_verifier::BuilderVerifierExt as _;
use zeroize::Zeroizing;

use super::head::Inner;
use crate::egress::Destination;
use crate::vault::Secret;
use crate::vault::spelling::{Spelled, search};

/// One placeholder, and what takes its place where.
pub struct CredentialSubstitution {
    /// The only place that gets it.
    pub to: Destination,
    /// The only header that holds it, in lower case.
    pub header: String,
    /// The methods of requests to that place.
    pub methods: BTreeSet<String>,
    /// Requests go to this path and below.
    pub path: String,
    /// What the program has.
    pub placeholder: String,
    /// What the place gets.
    pub secret: Secret,
}

/// All of one program.
pub struct Credentials {
    substitutions: Vec<CredentialSubstitution>,
    issuer: Issuer<'static, KeyPair>,
    /// The authority's certificate, which the cage trusts.
    pub authority_pem: String,
    /// How the places themselves are met: by the authorities that this host trusts.
    pub(super) client: Arc<ClientConfig>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Why a request inside is not passed on.
pub(super) enum Misuse {
    /// A placeholder is where it must not be.
    Placeholder(&'static str),
    /// The place is reached with other methods and paths only.
    Request,
}

impl Credentials {
    /// An authority of their own for these.
    ///
    /// # Errors
    /// When keys or certificates cannot be made, or this host trusts nobody; in words.
    pub fn new(substitutions: Vec<CredentialSubstitution>) -> Result<Self, String> {
        let failed = |e: rcgen::Error| format!("no authority for the cage: {e}");
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "AECL, for one program in its cage");
        let hosts: BTreeSet<&str> =
            substitutions.iter().map(|substitution| substitution.to.host.as_str()).collect();
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: hosts.iter().map(|host| GeneralSubtree::DnsName((*host).into())).collect(),
            excluded_subtrees: Vec::new(),
        });
        let authority_pem = params.self_signed(&key).map_err(failed)?.pem();
        let mut client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(|e| format!("no authority that this host trusts: {e}"))?
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { substitutions, issuer: Issuer::new(params, key), authority_pem, client: Arc::new(client) })
    }

    /// Whether TLS to this place is ended here.
    pub(super) fn are_for(&self, to: &Destination) -> bool {
        self.substitutions.iter().any(|substitution| substitution.to == *to)
    }

    /// How this place is played to the program.
    pub(super) fn server(&self, to: &Destination) -> Result<Arc<ServerConfig>, String> {
        let failed = |e: rcgen::Error| e.to_string();
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(vec![to.host.as_str().to_owned()]).map_err(failed)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .map_err(|e| e.to_string())?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }

    /// Whether there is a placeholder in these bytes.
    pub(super) fn are_in(&self, bytes: &[u8]) -> bool {
        self.substitutions.iter().any(|substitution| holds(bytes, substitution.placeholder.as_bytes()))
    }

    /// The head that is passed on, with the real values in it.
    pub(super) fn put_in(&self, to: &Destination, inner: &Inner) -> Result<Zeroizing<Vec<u8>>, Misuse> {
        let fits = |substitution: &&CredentialSubstitution| {
            substitution.to == *to
                && substitution.methods.contains(&inner.method)
                && is_below(&inner.target, &substitution.path)
        };
        if !self.substitutions.iter().any(|substitution| fits(&substitution)) {
            return Err(Misuse::Request);
        }
        if self.are_in(inner.target.as_bytes()) {
            return Err(Misuse::Placeholder("it stands in the address of the request"));
        }
        let host = if to.port.get() == 443 { to.host.to_string() } else { to.to_string() };
        // Room for everything, so that nothing with a secret in it is copied and left behind.
        let room =
            self.substitutions.iter().map(|substitution| substitution.secret.expose().len()).sum::<usize>()
                + inner.room()
                + 512;
        let mut head = Zeroizing::new(Vec::with_capacity(room));
        let first = format!("{} {} HTTP/1.1\r\nhost: {host}\r\n", inner.method, inner.target);
        head.extend_from_slice(first.as_bytes());
        // What is packed, or comes in parts of the asker's choice, could not be searched for the secret on its way
        // back.
        head.extend_from_slice(b"connection: close\r\naccept-encoding: identity\r\n");
        for (name, value) in &inner.headers {
            if matches!(name.as_str(), "accept-encoding" | "expect" | "range" | "if-range") {
                continue;
            }
            head.extend_from_slice(format!("{name}: ").as_bytes());
            self.value(name, value, fits, &mut head)?;
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        Ok(head)
    }

    fn value(
        &self,
        name: &str,
        value: &str,
        fits: impl Fn(&&CredentialSubstitution) -> bool,
        head: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let inside: Vec<&CredentialSubstitution> = self
            .substitutions
            .iter()
            .filter(|substitution| value.contains(substitution.placeholder.as_str()))
            .collect();
        let substitution = match inside.as_slice() {
            [] => {
                head.extend_from_slice(value.as_bytes());
                return Ok(());
            }
            [substitution] if fits(substitution) && substitution.header == name => substitution,
            [substitution] if fits(substitution) => {
                return Err(Misuse::Placeholder("it stands in another header than the one it is for"));
            }
            _ => return Err(Misuse::Placeholder("it is for another host, method or path")),
        };
        match value.split(substitution.placeholder.as_str()).collect::<Vec<_>>().as_slice() {
            [before, after] => {
                for part in [before, substitution.secret.expose(), after] {
                    head.extend_from_slice(part.as_bytes());
                }
                Ok(())
            }
            _ => Err(Misuse::Placeholder("it stands there twice")),
        }
    }

    /// What must not come back from this place.
    pub(super) fn scrub(&self) -> Scrub {
        let spelled =
            self.substitutions.iter().map(|substitution| Spelled::of(&substitution.secret)).collect();
        Scrub { spelled, kept: Zeroizing::new(Vec::new()) }
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len().max(1)).any(|window| window == part)
}

/// Whether the path of a request is this path or below it, whoever reads it.
fn is_below(target: &str, path: &str) -> bool {
    let asked = target.split('?').next().unwrap_or_default();
    is_plain_path(asked)
        && asked
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || path.ends_with('/') || rest.starts_with('/'))
}

/// Whether nobody reads another path in it.
pub(super) fn is_plain_path(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    path.starts_with('/')
        && !["%2e", "%2f", "%5c", "%00", "\\", "//", ";"].iter().any(|malformed| lower.contains(malformed))
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Takes secrets out of bytes that come in pieces. What stands in their place is as long.
pub(super) struct Scrub {
    spelled: Vec<Spelled>,
    kept: Zeroizing<Vec<u8>>,
}

impl Scrub {
    /// What may be passed on of what came so far.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut all = Zeroizing::new(Vec::with_capacity(self.kept.len() + piece.len()));
        all.extend_from_slice(&self.kept);
        all.extend_from_slice(piece);
        let places = search(&all, &self.spelled.iter().collect::<Vec<_>>());
        for place in &places.all {
            if let Some(place) = all.get_mut(place.from..place.to) {
                place.fill(b'*');
            }
        }
        let (out, kept) = all.split_at(places.begun);
        self.kept = Zeroizing::new(kept.to_vec());
        out.to_vec()
    }

    /// The rest, at the end.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.kept)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_path_is_below_another_for_every_reader_or_not_at_all() {
        for (target, path, below) in [
            ("/v1/x", "/v1", true),
            ("/v1", "/v1", true),
            ("/v1?a=/../x", "/v1", true),
            ("/v1/x", "/v1/", true),
            ("/v1", "/v1/", false),
            ("/v10", "/v1", false),
            ("/v1/../admin", "/v1", false),
            ("/v1/%2e%2E/admin", "/v1", false),
            ("/v1/.%2fadmin", "/v1", false),
            ("/v1/..%5cadmin", "/v1", false),
            ("/v1//x", "/v1", false),
            ("/v1/a;/../b", "/v1", false),
            ("/anything", "/", true),
        ] {
            assert_eq!(is_below(target, path), below, "{target} below {path}");
        }
    }

    /// What echoes would hand out a secret in two halves, and neither of them is recognised.
    #[test]
    fn nobody_asks_for_a_part_of_what_is_searched_for_a_secret() {
        let to = Destination::parse("a.b:443", None).unwrap();
        let substitution = CredentialSubstitution {
            to: to.clone(),
            header: "authorization".into(),
            methods: BTreeSet::from(["GET".to_owned()]),
            path: "/".into(),
            placeholder: "PLACE".into(),
            secret: Secret::new("secret".into()),
        };
        let request = "GET /echo HTTP/1.1\r\nHost: a.b\r\nRange: bytes=0-17\r\nIf-Range: \"x\"\r\n\
                       Accept-Encoding: gzip\r\nAuthorization: Bearer PLACE\r\nX-Kept: yes\r\n\r\n";
        let inner = crate::broker::head::parse_inner(request.as_bytes(), &to).unwrap();
        let head = Credentials::new(vec![substitution]).unwrap().put_in(&to, &inner).ok().unwrap();
        let head = String::from_utf8(head.to_vec()).unwrap().to_ascii_lowercase();
        assert!(head.contains("bearer secret") && head.contains("x-kept: yes"), "{head}");
        assert!(!head.contains("range") && !head.contains("gzip"), "{head}");
    }

    #[test]
    fn a_secret_in_pieces_is_taken_out_wherever_it_is_cut() {
        let secret = "top-\"secret\"-value";
        let to = Destination::parse("a.b:443", None).unwrap();
        let substitution = CredentialSubstitution {
            to,
            header: "authorization".into(),
            methods: BTreeSet::new(),
            path: "/".into(),
            placeholder: "p".into(),
            secret: Secret::new(secret.into()),
        };
        let credentials = Credentials::new(vec![substitution]).unwrap();
        let json = serde_json::json!({ "echo": secret }).to_string();
        let every: String = secret.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
        let text = format!("before {secret}{secret} {json} {every} after, and top-\"secret");
        for cut in 0..text.len() {
            let mut scrub = credentials.scrub();
            let (one, other) = text.as_bytes().split_at(cut);
            let out = [scrub.take(one), scrub.take(other), scrub.rest()].concat();
            let out = String::from_utf8(out).unwrap();
            assert_eq!(out.len(), text.len());
            assert!(
                !out.contains("-value")
                    && !out.contains("\\u0074")
                    && out.starts_with("before ***")
                    && out.ends_with("after, and top-\"secret"),
                "{out}"
            );
        }
    }
}
