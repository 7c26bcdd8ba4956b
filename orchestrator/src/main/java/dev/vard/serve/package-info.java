/** The server's inside: the queue, the pool of workers, and the use cases that both APIs offer. */
@NullMarked
package dev.vard.serve;

import org.jspecify.annotations.NullMarked;
