//! Tokens that must be refused, row by row, and for what; each is a small step away from one that is accepted.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;

/// One key of each kind, and a second RSA key under the first one's name.
struct Keys {
    rsa: RsaKeyPair,
    other: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Keys {
    fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            other: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }

    fn set(&self) -> Value {
        let public = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "keys": [
            { "kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": b64(&public.n), "e": b64(&public.e) },
            key::p256_jwk("ec", self.ec.public_key().as_ref()).unwrap(),
            { "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(self.ed.public_key().as_ref()) },
            { "kty": "RSA", "kid": "for-encryption", "use": "enc", "n": b64(&public.n), "e": b64(&public.e) },
            { "kty": "RSA", "kid": "for-pss", "alg": "PS256", "n": b64(&public.n), "e": b64(&public.e) },
            { "kty": "oct", "kid": "shared", "k": "AAAA" }, { "kty": "EC", "crv": "P-384", "kid": "p384" },
            { "kid": 7 }, "nonsense",
        ]})
    }

    fn verifying(&self) -> Vec<VerifyingKey> {
        key::set(self.set().to_string().as_bytes()).unwrap()
    }

    fn sign(&self, with: &str, message: &str) -> Vec<u8> {
        let (random, message) = (SystemRandom::new(), message.as_bytes());
        let rsa = |key: &RsaKeyPair| {
            let mut tag = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &random, message, &mut tag).unwrap();
            tag
        };
        match with {
            "rsa" => rsa(&self.rsa),
            "other" => rsa(&self.other),
            "ec" => self.ec.sign(&random, message).unwrap().as_ref().to_vec(),
            "ed" => self.ed.sign(message).as_ref().to_vec(),
            "public key" => {
                let public = self.rsa.public_key();
                let der =
                    aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(public).unwrap();
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, der.as_ref()), message).as_ref().to_vec()
            }
            _ => Vec::new(),
        }
    }

    fn token(&self, with: &str, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(with, &message));
        format!("{message}.{signature}")
    }
}

fn rules() -> Rules {
    Rules {
        issuer: "https://id.example".to_owned(),
        audiences: vec!["api".to_owned(), "other".to_owned()],
        parties: vec!["https://app.example".to_owned()],
        typ: Typ::Any,
    }
}

fn judge(keys: &[VerifyingKey], token: &str, rules: &Rules) -> Result<Claims, Refusal> {
    let token = Unverified::parse(token)?;
    // A name that no key has ends in the look-up, as it does in the server.
    let key = key::find(keys, token.kid()).ok_or(Refusal::Signature)?;
    token.verify(key, rules, NOW)
}

const HEADER: &str = r#"{"alg":"RS256","kid":"rsa","typ":"JWT"}"#;

/// The usual claims, with `changes` put in; null takes one out.
fn claims(changes: Value) -> String {
    let mut claims = json!({
        "iss": "https://id.example", "sub": "user_1", "aud": "api", "azp": "https://app.example",
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 60,
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims.to_string()
}

#[test]
fn a_token_of_each_allowed_algorithm_is_accepted() {
    let keys = Keys::new();
    let known = keys.verifying();
    assert_eq!(known.len(), 3, "keys for other uses are left out");
    for (with, alg) in [("rsa", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")] {
        let header = json!({ "alg": alg, "kid": with }).to_string();
        let accepted = judge(&known, &keys.token(with, &header, &claims(json!({}))), &rules()).unwrap();
        assert_eq!(accepted.text("sub"), Some("user_1"));
    }
    for changes in [
        json!({ "aud": ["x", "other"] }),
        json!({ "exp": NOW - 4, "nbf": NOW + 5, "iat": NOW + 5 }),
        json!({ "exp": NOW as f64 + 0.5 }),
        json!({ "nbf": null, "iat": null }),
    ] {
        let token = keys.token("rsa", HEADER, &claims(changes.clone()));
        assert!(judge(&known, &token, &rules()).is_ok(), "{changes}");
    }
}

#[test]
fn headers_that_attack_are_refused() {
    let keys = Keys::new();
    let known = keys.verifying();
    let inner = keys.set()["keys"][0].clone();
    let with = |name: &str, value: Value| {
        let mut header = json!({ "alg": "RS256", "kid": "rsa" });
        header[name] = value;
        header.to_string()
    };
    let rows = [
        ("", r#"{"alg":"none","kid":"rsa"}"#.to_owned(), Refusal::Algorithm),
        ("", r#"{"alg":"NONE","kid":"rsa"}"#.to_owned(), Refusal::Algorithm),
        ("rsa", r#"{"alg":"none","kid":"rsa"}"#.to_owned(), Refusal::Algorithm),
        ("rsa", r#"{"kid":"rsa"}"#.to_owned(), Refusal::Algorithm),
        ("public key", r#"{"alg":"HS256","kid":"rsa"}"#.to_owned(), Refusal::Algorithm),
        ("public key", r#"{"alg":"HS256"}"#.to_owned(), Refusal::Algorithm),
        ("rsa", r#"{"alg":"RS512","kid":"rsa"}"#.to_owned(), Refusal::Algorithm),
        ("rsa", r#"{"alg":"PS256","kid":"rsa"}"#.to_owned(), Refusal::Algorithm),
        ("rsa", r#"{"alg":"ES256","kid":"rsa"}"#.to_owned(), Refusal::Algorithm),
        ("rsa", r#"{"alg":"RS256","kid":"ec"}"#.to_owned(), Refusal::Algorithm),
        ("rsa", r#"{"alg":"RS256","kid":"for-encryption"}"#.to_owned(), Refusal::Signature),
        ("rsa", r#"{"alg":"RS256","kid":"for-pss"}"#.to_owned(), Refusal::Signature),
        ("rsa", r#"{"alg":"RS256","kid":"../../dev/null"}"#.to_owned(), Refusal::Signature),
        ("rsa", r#"{"alg":"RS256","kid":"' or 1=1 --"}"#.to_owned(), Refusal::Signature),
        ("rsa", r#"{"alg":"RS256","kid":""}"#.to_owned(), Refusal::Signature),
        ("rsa", r#"{"alg":"RS256"}"#.to_owned(), Refusal::Signature),
        ("rsa", r#"{"alg":"RS256","kid":["rsa"]}"#.to_owned(), Refusal::Malformed),
        ("rsa", r#"{"alg":"RS256","alg":"none","kid":"rsa"}"#.to_owned(), Refusal::Malformed),
        ("rsa", r#"["RS256"]"#.to_owned(), Refusal::Malformed),
        ("rsa", "RS256".to_owned(), Refusal::Malformed),
        ("rsa", with("jku", json!("https://evil.example/jwks.json")), Refusal::Header),
        ("rsa", with("jwk", inner), Refusal::Header),
        ("rsa", with("x5u", json!("https://evil.example/x")), Refusal::Header),
        ("rsa", with("x5c", json!(["AAAA"])), Refusal::Header),
        ("rsa", with("crit", json!(["exp"])), Refusal::Header),
        ("rsa", with("b64", json!(false)), Refusal::Header),
        ("rsa", with("typ", json!("logout+jwt")), Refusal::Type),
        ("other", HEADER.to_owned(), Refusal::Signature),
        ("ec", r#"{"alg":"ES256","kid":"rsa"}"#.to_owned(), Refusal::Algorithm),
        ("ed", r#"{"alg":"EdDSA","kid":"ec"}"#.to_owned(), Refusal::Algorithm),
    ];
    for (signed_with, header, refusal) in rows {
        let token = keys.token(signed_with, &header, &claims(json!({})));
        assert_eq!(judge(&known, &token, &rules()).unwrap_err(), refusal, "{header} signed with {signed_with:?}");
    }
}

#[test]
fn claims_that_are_not_ours_are_refused() {
    let keys = Keys::new();
    let known = keys.verifying();
    let rows = [
        (json!({ "iss": null }), Refusal::Issuer),
        (json!({ "iss": "https://id.example/" }), Refusal::Issuer),
        (json!({ "iss": "https://ID.example" }), Refusal::Issuer),
        (json!({ "iss": ["https://id.example"] }), Refusal::Issuer),
        (json!({ "aud": null }), Refusal::Audience),
        (json!({ "aud": "API" }), Refusal::Audience),
        (json!({ "aud": [] }), Refusal::Audience),
        (json!({ "aud": ["x", ["api"]] }), Refusal::Audience),
        (json!({ "aud": { "api": 1 } }), Refusal::Audience),
        (json!({ "azp": null }), Refusal::Party),
        (json!({ "azp": "https://evil.example" }), Refusal::Party),
        (json!({ "azp": "https://app.example.evil.example" }), Refusal::Party),
        (json!({ "azp": ["https://app.example"] }), Refusal::Party),
        (json!({ "exp": null }), Refusal::Expired),
        (json!({ "exp": NOW - 5 }), Refusal::Expired),
        (json!({ "exp": 0 }), Refusal::Expired),
        (json!({ "exp": (NOW + 60).to_string() }), Refusal::Malformed),
        (json!({ "exp": -1 }), Refusal::Malformed),
        (json!({ "exp": 1e300 }), Refusal::Malformed),
        (json!({ "exp": u64::MAX }), Refusal::Malformed),
        (json!({ "exp": true }), Refusal::Malformed),
        (json!({ "nbf": NOW + 6 }), Refusal::TooEarly),
        (json!({ "nbf": "soon" }), Refusal::Malformed),
        (json!({ "iat": NOW + 6 }), Refusal::TooEarly),
        (json!({ "sub": null }), Refusal::Subject),
        (json!({ "sub": "" }), Refusal::Subject),
        (json!({ "sub": 7 }), Refusal::Subject),
        (json!({ "sub": "x".repeat(256) }), Refusal::Subject),
    ];
    for (changes, refusal) in rows {
        let token = keys.token("rsa", HEADER, &claims(changes.clone()));
        assert_eq!(judge(&known, &token, &rules()).unwrap_err(), refusal, "{changes}");
    }
    let twice = claims(json!({})).replacen('{', r#"{"sub":"admin","#, 1);
    assert_eq!(judge(&known, &keys.token("rsa", HEADER, &twice), &rules()).unwrap_err(), Refusal::Malformed);
}

#[test]
fn broken_tokens_are_refused() {
    let keys = Keys::new();
    let known = keys.verifying();
    let good = keys.token("rsa", HEADER, &claims(json!({})));
    assert!(judge(&known, &good, &rules()).is_ok());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let foreign = URL_SAFE_NO_PAD.encode(claims(json!({ "sub": "admin" })));
    let long = keys.token("rsa", HEADER, &claims(json!({ "pad": "x".repeat(64 << 10) })));
    let rows = [
        (format!("{message}."), Refusal::Signature),
        (format!("{message}.AAAA"), Refusal::Signature),
        (format!("{header}.{foreign}.{signature}"), Refusal::Signature),
        (format!("{good}="), Refusal::Malformed),
        (format!("{good}A"), Refusal::Signature),
        (format!("{good}.{signature}"), Refusal::Malformed),
        (format!(" {good}"), Refusal::Malformed),
        (format!("{good}\n"), Refusal::Malformed),
        (format!(".{payload}.{signature}"), Refusal::Malformed),
        (format!("{header}..{signature}"), Refusal::Malformed),
        (message.to_owned(), Refusal::Malformed),
        (String::new(), Refusal::Malformed),
        ("..".to_owned(), Refusal::Malformed),
        ("a.b.c".to_owned(), Refusal::Malformed),
        ("ä.ö.ü".to_owned(), Refusal::Malformed),
        (long, Refusal::TooLong),
        (".".repeat(64 << 10), Refusal::TooLong),
    ];
    for (token, refusal) in rows {
        let shown: String = token.chars().take(40).collect();
        assert_eq!(judge(&known, &token, &rules()).unwrap_err(), refusal, "{shown}");
    }
}

#[test]
fn a_token_of_one_use_is_none_of_another() {
    let keys = Keys::new();
    let known = keys.verifying();
    let (access, plain) = (Rules { typ: Typ::Access, ..rules() }, Rules { typ: Typ::Plain, ..rules() });
    for (typ, as_access, as_plain) in [
        (json!("at+jwt"), true, false),
        (json!("application/at+jwt"), true, false),
        (json!("JWT"), false, true),
        (Value::Null, false, true),
    ] {
        let mut header = json!({ "alg": "RS256", "kid": "rsa" });
        if !typ.is_null() {
            header["typ"] = typ.clone();
        }
        let token = keys.token("rsa", &header.to_string(), &claims(json!({})));
        assert_eq!(judge(&known, &token, &access).is_ok(), as_access, "{typ}");
        assert_eq!(judge(&known, &token, &plain).is_ok(), as_plain, "{typ}");
    }
}

#[test]
fn a_small_rsa_key_verifies_nothing() {
    let set = json!({ "keys": [{ "kty": "RSA", "kid": "rsa", "n": URL_SAFE_NO_PAD.encode([0xff; 64]), "e": "AQAB" }] });
    let known = key::set(set.to_string().as_bytes()).unwrap();
    let keys = Keys::new();
    let token = keys.token("rsa", HEADER, &claims(json!({})));
    assert_eq!(judge(&known, &token, &rules()).unwrap_err(), Refusal::Signature);
    for no_set in ["", "[]", "{}", r#"{"keys":7}"#] {
        assert!(key::set(no_set.as_bytes()).is_none(), "{no_set}");
    }
}
