//! Currencies of ISO 4217, and amounts in whole minor units (cents). No float ever holds an amount.

use std::fmt;
use std::str::FromStr;

/// Currencies by how many digits their minor unit has.
const BY_DIGITS: [(u8, &str); 3] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP \
         CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR \
         IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN \
         NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
         STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
];

/// A currency of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: &'static str,
    digits: u8,
}

/// The text is no code of a currency in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a currency of ISO 4217, like USD, EUR or JPY")]
pub struct UnknownCurrency;

/// Why a text is no amount of a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAmount {
    /// It does not look like one.
    #[error("{0}: not an amount like 2.49")]
    NotANumber(String),
    /// It has a part of a minor unit.
    #[error("{text}: {currency} has {digits} digits after the point")]
    TooFine {
        /// The text.
        text: String,
        /// Of what.
        currency: Currency,
        /// How many it has.
        digits: u8,
    },
    /// No number of 64 bits holds it.
    #[error("{0}: too much")]
    TooMuch(String),
}

impl Currency {
    /// What prices are in unless it is said otherwise.
    pub const USD: Self = Self { code: "USD", digits: 2 };

    /// Its three letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.code
    }

    /// Digits of its minor unit: two where a hundred make one.
    #[must_use]
    pub fn digits(self) -> u8 {
        self.digits
    }

    /// Minor units as people write them, with a point and without the currency: `2.49`.
    #[must_use]
    pub fn write(self, minor: i64) -> String {
        let (sign, digits) = (if minor < 0 { "-" } else { "" }, usize::from(self.digits));
        let text = format!("{:0width$}", minor.unsigned_abs(), width = digits + 1);
        match text.split_at(text.len() - digits) {
            (whole, "") => format!("{sign}{whole}"),
            (whole, part) => format!("{sign}{whole}.{part}"),
        }
    }

    /// Minor units from what people write: digits, and after a point at most as many as the currency has.
    ///
    /// # Errors
    /// [`BadAmount`], in words for the person who wrote it.
    pub fn read(self, text: &str) -> Result<i64, BadAmount> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(part) {
            return Err(BadAmount::NotANumber(text.to_owned()));
        }
        let (kept, digits) = (part.trim_end_matches('0'), usize::from(self.digits));
        if kept.len() > digits {
            return Err(BadAmount::TooFine { text: text.to_owned(), currency: self, digits: self.digits });
        }
        format!("{whole}{kept:0<digits$}").parse().map_err(|_| BadAmount::TooMuch(text.to_owned()))
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;
    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        let all =
            BY_DIGITS.iter().flat_map(|(digits, codes)| codes.split(' ').map(|code| Self { code, digits: *digits }));
        all.into_iter().find(|currency| currency.code == text).ok_or(UnknownCurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

impl<'de> serde::Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("{text}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().expect("a currency")
    }

    proptest! {
        #[test]
        fn an_amount_reads_as_it_was_written(minor in 0i64.., code in prop_oneof!["USD", "JPY", "BHD"]) {
            let currency = currency(&code);
            prop_assert_eq!(currency.read(&currency.write(minor)), Ok(minor));
        }

        #[test]
        fn no_text_is_read_as_another_amount(text in "[0-9]{0,4}[.,]?[0-9]{0,4}|\\PC{0,8}") {
            if let Ok(minor) = Currency::USD.read(&text) {
                let trimmed = text.trim_start_matches('0');
                let written = Currency::USD.write(minor);
                let plain = |text: &str| {
                    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
                    (whole.trim_start_matches('0').to_owned(), part.trim_end_matches('0').to_owned())
                };
                prop_assert_eq!(plain(trimmed), plain(&written));
            }
        }
    }

    #[test]
    fn currencies_are_those_of_the_standard() {
        assert_eq!((currency("USD"), currency("EUR").digits(), currency("JPY").digits()), (Currency::USD, 2, 0));
        for bad in ["", "usd", "US", "XXX", "DOLLAR", "BIF CLP", " USD"] {
            assert_eq!(bad.parse::<Currency>(), Err(UnknownCurrency), "{bad}");
        }
        let codes: Vec<&str> = BY_DIGITS.iter().flat_map(|(_, codes)| codes.split(' ')).collect();
        assert!(codes.iter().all(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())));
        let once: std::collections::BTreeSet<&str> = codes.iter().copied().collect();
        assert_eq!(once.len(), codes.len());
    }

    #[test]
    fn amounts() {
        for (text, minor) in [("2.49", 249), ("2", 200), ("2.5", 250), ("0.01", 1), ("0", 0), ("2.4900", 249)] {
            assert_eq!(Currency::USD.read(text), Ok(minor), "{text}");
        }
        for bad in
            ["", ".", "2.", ".5", "-1", "+1", "2,49", "2.4.9", "1e3", "$2", " 2", "2.491", "99999999999999999999"]
        {
            assert!(Currency::USD.read(bad).is_err(), "{bad}");
        }
        assert_eq!(currency("JPY").read("250"), Ok(250));
        assert!(currency("JPY").read("2.5").is_err());
        assert_eq!(currency("BHD").write(5), "0.005");
        assert_eq!((Currency::USD.write(-249), currency("JPY").write(250)), ("-2.49".to_owned(), "250".to_owned()));
        assert_eq!(Currency::USD.write(i64::MIN), "-92233720368547758.08");
    }
}
