//! Lists: `?cursor&limit` in, `{items, next_cursor, total}` out, by keyset and never by offset.

use super::Problem;
use crate::base::limits;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The query of every list. A list with filters takes two extractors, `Query<PageQuery>` and its own
/// `Query<…>`: a flattened struct cannot hold numbers in a query.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows wanted, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// Where the next page begins: the sort key and the id of the last row shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The sort key, mostly a time in ms.
    pub at: i64,
    /// The id, which makes the key unique.
    pub id: String,
}

impl Cursor {
    /// Opaque text for the caller.
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}.{}", self.at, self.id))
    }

    /// The cursor of a text made by [`Cursor::encode`].
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (at, id) = text.split_once('.')?;
        Some(Self { at: at.parse().ok()?, id: id.to_owned() })
    }
}

impl PageQuery {
    /// Rows of this page. 422 when out of 1..=200.
    pub fn limit(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(limits::PAGE_DEFAULT) {
            limit @ 1..=limits::PAGE_MOST => Ok(limit),
            _ => Err(Problem::invalid("limit", "out_of_range", "limit must be 1 to 200.")),
        }
    }

    /// Where the page begins; `None` for the first. 422 when the cursor is not one of ours.
    pub fn cursor(&self) -> Result<Option<Cursor>, Problem> {
        let bad = || Problem::invalid("cursor", "not_a_cursor", "This cursor was not made by this list.");
        self.cursor.as_deref().map(|text| Cursor::decode(text).ok_or_else(bad)).transpose()
    }

    /// The bound for `WHERE (at, id) < ($1, $2) ORDER BY at DESC, id DESC LIMIT $3`, newest first: the three
    /// parameters. The limit is one above the page, so that [`Page::cut`] sees whether there is more.
    pub fn newest_first(&self) -> Result<(i64, String, i64), Problem> {
        let limit = i64::from(self.limit()?) + 1;
        Ok(match self.cursor()? {
            Some(cursor) => (cursor.at, cursor.id, limit),
            None => (i64::MAX, String::new(), limit),
        })
    }

    /// The bound for `WHERE (at, id) > ($1, $2) ORDER BY at, id LIMIT $3`, oldest first.
    pub fn oldest_first(&self) -> Result<(i64, String, i64), Problem> {
        let limit = i64::from(self.limit()?) + 1;
        Ok(match self.cursor()? {
            Some(cursor) => (cursor.at, cursor.id, limit),
            None => (i64::MIN, String::new(), limit),
        })
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Ask with this for the next page; null at the end.
    pub next_cursor: Option<String>,
    /// How many there are in all, where that is known cheaply.
    pub total: Option<i64>,
}

impl<T> Page<T> {
    /// Makes a page from up to `limit + 1` rows (see [`PageQuery::newest_first`]).
    pub fn cut(mut rows: Vec<T>, query: &PageQuery, key: impl Fn(&T) -> (i64, String)) -> Result<Self, Problem> {
        let limit = query.limit()? as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| {
            let (at, id) = key(last);
            Cursor { at, id }.encode()
        });
        Ok(Self { items: rows, next_cursor, total: None })
    }

    /// A list that always fits one page.
    #[must_use]
    pub fn whole(items: Vec<T>) -> Self {
        let total = i64::try_from(items.len()).ok();
        Self { items, next_cursor: None, total }
    }

    /// Adds how many there are in all.
    #[must_use]
    pub fn with_total(mut self, total: i64) -> Self {
        self.total = Some(total);
        self
    }

    /// Changes each row, for example from model to reply.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next_cursor: self.next_cursor, total: self.total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors_round_trip(at: i64, id in "\\PC{0,40}") {
            let cursor = Cursor { at, id };
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }

        #[test]
        fn any_text_is_a_cursor_or_none(text in "\\PC{0,60}") {
            let _ = Cursor::decode(&text);
        }

        #[test]
        fn walking_pages_meets_every_row_once(count in 0usize..60, limit in 1u32..10) {
            let rows: Vec<(i64, String)> = (0..count).map(|n| (n as i64 / 3, format!("{n:03}"))).collect();
            let mut seen = Vec::new();
            let mut query = PageQuery { cursor: None, limit: Some(limit) };
            loop {
                let (at, id, most) = query.oldest_first().unwrap();
                let part: Vec<_> =
                    rows.iter().filter(|row| **row > (at, id.clone())).take(most as usize).cloned().collect();
                let page = Page::cut(part, &query, Clone::clone).unwrap();
                seen.extend(page.items);
                query.cursor = page.next_cursor;
                if query.cursor.is_none() { break }
            }
            prop_assert_eq!(seen, rows);
        }
    }
}
