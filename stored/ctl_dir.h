/* ctl_dir: what the commands of domains, aliases (ctl_dir.c) and accounts (ctl_account.c)
 * share. */
#ifndef STORED_CTL_DIR_H
#define STORED_CTL_DIR_H
#include "stored/ctl.h"
#include "stored/dir.h"

/* "1m"; "never", "at-once" or a duration. */
const char *ctl_duration(struct pool *pool, uint64_t ms);
const char *ctl_expire(struct pool *pool, uint64_t ms);
/* The settings that domains and accounts both have. */
struct ctl_settings {
	uint64_t *quota, *login_delay_ms, *expire_ms;
};
/* Reads KEY=VALUE; "default" unsets. False: another key. *e: a mistake, reported. */
bool ctl_setting(struct ctl *c, struct slice word, const struct ctl_settings *s, enum ipc_err *e);
enum ipc_err ctl_unknown_key(struct ctl *c, struct slice word, const char *known);
/* These report what they do not find. */
enum ipc_err ctl_domain(struct base *b, struct ctl *c, struct slice name, struct domain *out);
enum ipc_err ctl_address(struct ctl *c, struct slice word, struct addr *out);
/* An address that mail may be led to: outside, or one that leads to an account. */
enum ipc_err ctl_target(struct base *b, struct ctl *c, struct slice word, struct slice *out);
/* For ctl_write: dir_changed(). */
void ctl_changed(struct ctl *c);

/* ctl_account.c */
void ctl_account_add(struct ctl *c);
void ctl_account_list(struct ctl *c);
void ctl_account_show(struct ctl *c);
void ctl_account_set(struct ctl *c);
void ctl_account_password(struct ctl *c);
void ctl_account_enable(struct ctl *c);
void ctl_account_disable(struct ctl *c);
void ctl_account_delete(struct ctl *c);
void ctl_account_app(struct ctl *c);
#endif
