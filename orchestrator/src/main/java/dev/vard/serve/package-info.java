/** The server's inside: the queue, the pool of workers, and the use cases that both APIs offer. */
package dev.vard.serve;
