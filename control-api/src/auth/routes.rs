//! Everything below `/api/v1/auth`, and the key set of our own tokens, as declarations.

use axum::http::StatusCode;

use super::{accounts, clerk, oidc, refresh, second_factor, sign_in, signing};
use crate::http::routes::Kind::Text;
use crate::http::routes::{Field, Need, Route, Verb, may, must, route};

const EMAIL: Field = must("email", Text, "an e-mail address");
const PASSWORD: Field = must("password", Text, "at least 10 characters where it is a new one");
const TOKEN: Field = must("token", Text, "of the link in the mail");
const CODE: Field = may("code", Text, "of the second factor, or a recovery code, where one is needed");
const CREDENTIALS: &[Field] = &[EMAIL, PASSWORD, CODE];
const REFRESH: &[Field] = &[must("refresh_token", Text, "as it was told last")];

/// All of them.
pub(crate) fn all() -> Vec<Route> {
    [account_routes(), sign_in_routes(), second_factor_routes(), provider_routes()].into_iter().flatten().collect()
}

fn account_routes() -> Vec<Route> {
    const NEW: &[Field] = &[TOKEN, PASSWORD, may("display_name", Text, "1 to 100 characters")];
    const CHANGE: &[Field] = &[must("current_password", Text, "the one to be replaced"), PASSWORD];
    let asked = StatusCode::ACCEPTED;
    vec![
        route(Verb::Get, "/api/v1/auth", Need::Nothing, accounts::ways)
            .says("see how to sign in here")
            .answers::<accounts::Ways>(StatusCode::OK),
        route(Verb::Post, "/api/v1/auth/sign-up", Need::Nothing, accounts::sign_up)
            .says("ask for a mail with the link that makes an account")
            .takes(&[EMAIL])
            .answers_status(asked),
        route(Verb::Post, "/api/v1/auth/sign-up/confirm", Need::Nothing, accounts::confirm_sign_up)
            .says("make the account")
            .takes(NEW)
            .answers::<accounts::Made>(StatusCode::CREATED),
        route(Verb::Post, "/api/v1/auth/password-reset", Need::Nothing, accounts::password_reset)
            .says("ask for a mail with the link that sets a new password")
            .takes(&[EMAIL])
            .answers_status(asked),
        route(Verb::Post, "/api/v1/auth/password-reset/confirm", Need::Nothing, accounts::confirm_password_reset)
            .says("set the new password, and end every sign-in")
            .takes(&[TOKEN, PASSWORD]),
        route(Verb::Put, "/api/v1/auth/password", Need::SignedIn, accounts::change_password)
            .says("change one's password, and end every other sign-in")
            .takes(CHANGE),
    ]
}

fn sign_in_routes() -> Vec<Route> {
    vec![
        route(Verb::Post, "/api/v1/auth/session", Need::Nothing, sign_in::session)
            .says("sign a browser in by e-mail address and password")
            .takes(CREDENTIALS),
        route(Verb::Post, "/api/v1/auth/tokens", Need::Nothing, sign_in::tokens)
            .says("sign a program in by e-mail address and password")
            .takes(CREDENTIALS)
            .answers::<refresh::Tokens>(StatusCode::OK),
        route(Verb::Post, "/api/v1/auth/tokens/refresh", Need::Nothing, refresh::refresh)
            .says("exchange a refresh token, which is used once, for new tokens")
            .takes(REFRESH)
            .answers::<refresh::Tokens>(StatusCode::OK),
        route(Verb::Post, "/api/v1/auth/tokens/revoke", Need::Nothing, refresh::revoke_family)
            .says("sign a program out")
            .takes(REFRESH),
        route(Verb::Get, "/.well-known/jwks.json", Need::Nothing, signing::jwks)
            .says("get the public keys of access tokens")
            .answers_status(StatusCode::OK),
    ]
}

fn second_factor_routes() -> Vec<Route> {
    const SHOWN: &[Field] = &[must("code", Text, "of the second factor")];
    vec![
        route(Verb::Post, "/api/v1/auth/second-factor", Need::SignedIn, second_factor::begin)
            .says("make the secret of a second factor, which is told this once")
            .takes(&[PASSWORD])
            .answers::<second_factor::Begun>(StatusCode::CREATED),
        route(Verb::Post, "/api/v1/auth/second-factor/confirm", Need::SignedIn, second_factor::confirm)
            .says("show a code of it, from when on it counts")
            .takes(SHOWN)
            .answers::<second_factor::Recovery>(StatusCode::OK),
        route(Verb::Post, "/api/v1/auth/second-factor/remove", Need::SignedIn, second_factor::remove)
            .says("remove the second factor")
            .takes(&[PASSWORD, CODE]),
    ]
}

fn provider_routes() -> Vec<Route> {
    const RETURN: &[Field] = &[may("return_to", Text, "the path of one of our pages")];
    vec![
        route(Verb::Get, "/api/v1/auth/oidc/start", Need::Nothing, oidc::start)
            .says("go to the OpenID provider to sign in")
            .query(RETURN)
            .answers_status(StatusCode::SEE_OTHER),
        route(Verb::Get, "/api/v1/auth/oidc/callback", Need::Nothing, oidc::callback_of_provider)
            .says("come back from the OpenID provider")
            .answers_status(StatusCode::SEE_OTHER),
        route(Verb::Post, "/api/v1/auth/clerk/webhook", Need::Nothing, clerk::webhook)
            .says("take a webhook of Clerk, which its signature proves"),
    ]
}
