package dev.vard.serve;

/**
 * Who asks.
 *
 * @param owner the name that the token or certificate stands for
 * @param admin sees everybody's runs
 * @param peer network address, for the audit log
 */
public record Caller(String owner, boolean admin, String peer) {}
