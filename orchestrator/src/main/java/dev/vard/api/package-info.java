/** The two APIs, gRPC and REST: they translate, and let in whom they know. */
@NullMarked
package dev.vard.api;

import org.jspecify.annotations.NullMarked;
