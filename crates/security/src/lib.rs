//! Authentication, policy, keys, sessions, audit.
