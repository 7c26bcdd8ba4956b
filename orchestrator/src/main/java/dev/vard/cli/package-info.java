/** The command line. */
package dev.vard.cli;
