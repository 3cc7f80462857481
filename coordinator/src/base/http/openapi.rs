//! The OpenAPI document of a door: what every operation shares, added once.

use super::ProblemBody;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, OpenApi, PathItem, RefOr, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

/// Every operation of a path, with its method's name.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    [("get", &item.get), ("put", &item.put), ("post", &item.post), ("delete", &item.delete), ("patch", &item.patch)]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// Adds the problems that any operation may answer with, so that handlers document only their own.
pub fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let mut nested = Vec::new();
    ProblemBody::schemas(&mut nested);
    components.schemas.extend(nested);
    let schema = RefOr::Ref(utoipa::openapi::Ref::from_schema_name(ProblemBody::name()));
    for item in document.paths.paths.values_mut() {
        let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in all.into_iter().flatten() {
            let mut statuses = vec!["401", "403", "404", "429", "500", "503"];
            if operation.request_body.is_some() {
                statuses.extend(["400", "413", "415", "422"]);
            }
            for status in statuses {
                let problem = ResponseBuilder::new()
                    .description("problem")
                    .content("application/problem+json", Content::new(Some(schema.clone())))
                    .build();
                operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(problem));
            }
        }
    }
}
