/** The two APIs, gRPC and REST: they translate, and let in whom they know. */
package dev.vard.api;
