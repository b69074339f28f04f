//! Judging what reaches the origin.

use http::header::COOKIE;
use verge::origin::FetchRequest;

use crate::executor::Ms;
use crate::ledger::{Ledger, Violation};
use crate::plan::Plan;
use crate::tokens;

/// Nothing is asked for on behalf of somebody without a good token, and no token is passed on.
pub fn judge_contact(plan: &Plan, ledger: &mut Ledger, contact: usize, request: &FetchRequest, at: Ms) {
    let number = ledger.contacts[contact].request;
    let cookies = request.fields.get_all(COOKIE).iter().flat_map(|value| value.to_str());
    let told = cookies.chain([request.target.as_str()]).any(tokens::is_in);
    let admitted = ledger
        .requests
        .get(number)
        .is_none_or(|request| plan.admits(&request.ask));
    let rule = match (told, admitted) {
        (true, _) => "token at the origin",
        (false, false) => "no token",
        (false, true) => return,
    };
    let what = format!("#{contact} asks for {} for request {number}", request.target);
    ledger.broken(at, Violation { rule, what });
}
