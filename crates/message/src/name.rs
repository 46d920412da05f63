//! The names of request fields that somebody here asks for, or that most requests carry.

macro_rules! names {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// A field name, if it is one of the usual.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "they say what they are called")]
        pub enum Name { $($variant,)* Other }

        impl Name {
            /// All but `Other`, in order.
            pub const USUAL: &[Name] = &[$(Name::$variant),*];

            /// In lower case; empty for `Other`.
            pub const fn text(self) -> &'static str {
                match self { $(Name::$variant => $text,)* Name::Other => "" }
            }

            fn of_lower_case(name: &[u8]) -> Name {
                $(const $variant: &[u8] = $text.as_bytes();)*
                #[allow(non_upper_case_globals, reason = "made by the macro")]
                match name { $($variant => Name::$variant,)* _ => Name::Other }
            }
        }
    };
}

#[allow(non_upper_case_globals, reason = "made by the macro")]
mod table {
    names! {
        Accept = "accept",
        AcceptEncoding = "accept-encoding",
        AcceptLanguage = "accept-language",
        Authorization = "authorization",
        CacheControl = "cache-control",
        Connection = "connection",
        ContentLength = "content-length",
        ContentType = "content-type",
        Cookie = "cookie",
        Dnt = "dnt",
        Expect = "expect",
        Forwarded = "forwarded",
        Host = "host",
        IfMatch = "if-match",
        IfModifiedSince = "if-modified-since",
        IfNoneMatch = "if-none-match",
        IfRange = "if-range",
        IfUnmodifiedSince = "if-unmodified-since",
        KeepAlive = "keep-alive",
        Origin = "origin",
        Pragma = "pragma",
        Priority = "priority",
        Proxy = "proxy",
        ProxyConnection = "proxy-connection",
        Range = "range",
        Referer = "referer",
        SecChUa = "sec-ch-ua",
        SecChUaMobile = "sec-ch-ua-mobile",
        SecChUaPlatform = "sec-ch-ua-platform",
        SecFetchDest = "sec-fetch-dest",
        SecFetchMode = "sec-fetch-mode",
        SecFetchSite = "sec-fetch-site",
        SecFetchUser = "sec-fetch-user",
        Te = "te",
        Trailer = "trailer",
        TransferEncoding = "transfer-encoding",
        Upgrade = "upgrade",
        UpgradeInsecureRequests = "upgrade-insecure-requests",
        UserAgent = "user-agent",
        XCsrftoken = "x-csrftoken",
        XForwardedFor = "x-forwarded-for",
        XForwardedHost = "x-forwarded-host",
        XForwardedProto = "x-forwarded-proto",
        XRequestId = "x-request-id",
        XRequestedWith = "x-requested-with",
    }
    /// Longest of the table.
    const LONGEST: usize = 25;

    impl Name {
        /// The name that these bytes spell, in any case.
        pub fn of(name: &[u8]) -> Name {
            let mut lower = [0; LONGEST];
            let Some(lower) = lower.get_mut(..name.len()) else {
                return Name::Other;
            };
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            Name::of_lower_case(lower)
        }

        /// One bit for each name but `Other`, which has none.
        pub(crate) const fn bit(self) -> u64 {
            match self {
                Name::Other => 0,
                usual => 1 << usual as u8,
            }
        }
    }

    const _: () = assert!(Name::Other as u8 <= 64, "one bit of a u64 for each");
}

pub use table::Name;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_name_is_found_in_any_case() {
        for name in Name::USUAL {
            assert_eq!(Name::of(name.text().as_bytes()), *name);
            assert_eq!(Name::of(name.text().to_uppercase().as_bytes()), *name);
        }
        for name in ["", "hos", "hostt", "x-y", &"x".repeat(300)] {
            assert_eq!(Name::of(name.as_bytes()), Name::Other, "{name}");
        }
    }
}
