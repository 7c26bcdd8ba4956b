/** The commands that ask a server: clients of {@code vard.v1.RunService}, and of nothing else. */
@NullMarked
package dev.vard.cli.client;

import org.jspecify.annotations.NullMarked;
