//! x
pub struct TempArtifacts;
