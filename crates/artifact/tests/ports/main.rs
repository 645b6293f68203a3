//! The suite of the artifact port on a folder and on a bucket, and what each has to itself.
#![allow(clippy::unwrap_used, reason = "clippy allows it in test functions, but not in what they call")]

mod faults;
mod local;
mod remote;

mod port_on_local_disk {
    mainspring_testkit::artifacts_suite!(mainspring_testkit::TempArtifacts::local());
}

mod port_on_s3 {
    mainspring_testkit::artifacts_suite!(mainspring_testkit::TempArtifacts::s3());
}
