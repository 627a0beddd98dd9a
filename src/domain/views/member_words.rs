//! Memberships in words.

use crate::domain::model::member::Missing;

/// What misses, as people read it.
#[must_use]
pub fn missing(what: &Missing) -> String {
    match what {
        Missing::Group => "no playbook has this group".to_owned(),
        Missing::Proposal => "nobody has proposed them".to_owned(),
        Missing::Vouches(more) => format!("{more} more member(s) must vouch for them"),
        Missing::NotMet(criterion) => format!("criterion `{criterion}` is NOT met"),
        Missing::NotJudged(criterion) => format!("criterion `{criterion}` is not judged"),
        Missing::Proof => "they must answer the challenge with their key".to_owned(),
        Missing::Terms => "they must accept the terms".to_owned(),
        Missing::Approvals(more) => format!("{more} more of the team must approve"),
        Missing::Reinstatement => "they are suspended".to_owned(),
        Missing::Place { taken, cap } => format!("the group is full ({taken} of {cap})"),
    }
}
