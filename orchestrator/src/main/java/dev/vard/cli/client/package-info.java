/** The commands that ask a server: clients of {@code vard.v1.RunService}, and of nothing else. */
package dev.vard.cli.client;
