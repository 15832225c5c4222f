//! The libraries that compress, each behind [`Library`](crate::library::Library).

pub mod ours;
pub mod sockudo;
pub mod wtx;
pub mod yawc;

use std::error::Error;

use crate::worker;

/// Is the worker for one of them.
///
/// # Errors
///
/// Where there is none of that name, or what [`worker::run`] says.
pub fn work(name: &str, job: &str) -> Result<(), Box<dyn Error>> {
    match name {
        ours::NAME => worker::run::<ours::Ours<{ ours::AS_IT_COMES }>>(job),
        ours::KEEPING_NAME => worker::run::<ours::Ours<{ ours::ENOUGH }>>(job),
        sockudo::NAME => worker::run::<sockudo::Sockudo>(job),
        wtx::NAME => worker::run::<wtx::Wtx>(job),
        yawc::NAME => worker::run::<yawc::Yawc<{ yawc::OWN }>>(job),
        yawc::POOLED_NAME => worker::run::<yawc::Yawc<{ yawc::POOLED }>>(job),
        _ => Err(format!("there is no {name}").into()),
    }
}
