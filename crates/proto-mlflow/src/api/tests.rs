//! Tests of what needs no server; the real client tests the rest.
