package dev.vard.api;

import dev.vard.serve.Caller;
import java.util.function.BooleanSupplier;

/**
 * Somebody who was let in.
 *
 * @param stands whether they would be let in as the same caller now: false once their token was
 *     taken away or their certificate has expired. Any thread may ask
 */
record Admission(Caller caller, BooleanSupplier stands) {}
