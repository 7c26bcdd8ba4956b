/**
 * The one door to Python: {@link dev.vard.worker.WorkerClient}, and its two roads, gRPC and Jep.
 * Both carry the same protobuf messages into the same handler; nothing outside this package knows
 * which one is in use.
 */
@NullMarked
package dev.vard.worker;

import org.jspecify.annotations.NullMarked;
