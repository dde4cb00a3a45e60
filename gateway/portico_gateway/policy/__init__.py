"""Who may call what: rules, approvals, the one path of a tool call, the audit log."""
