//! Why a request is denied.

use http::StatusCode;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $means:literal;)*) => {
        /// Why a request is denied: always the client's fault, or that of whoever made its link.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = $means] $variant),* }

        impl Reason {
            /// All there are.
            pub const ALL: &[Reason] = &[$(Reason::$variant),*];

            /// A short code, for `Proxy-Status`.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$variant => $code),* }
            }

            /// One sentence for people.
            pub fn means(self) -> &'static str {
                match self { $(Reason::$variant => $means),* }
            }
        }
    };
}

reasons! {
    Missing = "token-missing", "The route asks for a token, and there is none.";
    Malformed = "token-malformed", "The token is not of the form that its dialect has.";
    Twice = "token-twice", "The token, or one of its parts, is given more than once.";
    Expired = "token-expired", "The token's time is over.";
    Early = "token-early", "The token's time has not come.";
    UnknownKey = "token-key", "No key of the route has the name that the token gives.";
    Algorithm = "token-algorithm", "The token's algorithm is not one of its key, or not allowed for the route.";
    Path = "token-path", "The token is for another host or path.";
    Query = "token-query", "The query holds what the token does not allow.";
    Client = "token-client", "The token is for another client.";
    Method = "token-method", "The token is for another method.";
    Issuer = "token-issuer", "The token is not from, or not for, whom the route names.";
    Unsupported = "token-unsupported", "The token makes a condition that cannot be checked here.";
    Ambiguous = "token-ambiguous", "The path or query could be read in two ways; a signature over it proves nothing.";
    Signature = "token-signature", "The signature is wrong.";
    TooMany = "token-too-many", "The client has sent too many wrong tokens; no more signatures are computed for it yet.";
}

impl Reason {
    /// Whether it counts against the client: somebody who guesses or alters tokens, not one whose link is old.
    pub fn counts(self) -> bool {
        !matches!(
            self,
            Reason::Missing | Reason::Expired | Reason::Early | Reason::TooMany
        )
    }

    /// The status of an answer where nothing else is configured.
    pub fn status(self) -> StatusCode {
        match self {
            Reason::TooMany => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::FORBIDDEN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_tokens_of_their_own() {
        let codes: std::collections::HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(codes.iter().all(|code| code.starts_with("token-")), "{codes:?}");
    }
}
