/** The two APIs, gRPC and REST: they translate, and let in whom they know. */
package dev.vard.api;

// Not @NullMarked: Micronaut would call every property of an answer required. NullAway reads this
// package as if it were.
