/* auth: who may log in. Passwords are stretched on threads of their own (slow.c); everything
 * else that decides lives on the loop's thread (op_auth.c). Secrets are wiped when they have
 * done their work and are never logged. */
#ifndef STORED_AUTH_H
#define STORED_AUTH_H
#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "stored/dir.h"

#define AUTH_KEY_LEN 32

/* --- verifier.c: what is kept instead of a password (RFC 5802, RFC 7677) ----------------- */
struct verifier {
	unsigned iterations; /* 0: none */
	unsigned char salt[32];
	size_t salt_len;
	unsigned char stored_key[32], server_key[32];
};
enum { PASSWORD_MAX = 1024 };
/* Both take milliseconds to tenths of seconds. False: SASLprep (RFC 4013) refuses the password,
 * or it is empty or longer than PASSWORD_MAX. */
bool verifier_make(struct slice password, unsigned iterations, struct verifier *out);
bool verifier_check(const struct verifier *v, struct slice password);
/* For a name that has none: always the same for the name, nobody knows its password. */
void verifier_fake(struct slice name, struct verifier *out);
void verifier_fake_key(const unsigned char key[AUTH_KEY_LEN]);
/* App passwords: 16 letters in four groups, 75 random bits. */
#define APP_PASSWORD_LEN 19
void app_password_new(char out[APP_PASSWORD_LEN + 1]);
/* SHA-256 over salt and the letters (groups and case do not matter). False: not of that form. */
bool app_password_hash(struct slice password, const unsigned char salt[16], unsigned char out[32]);

/* --- credential.c: the credentials of an account in the directory ------------------------ */
struct app_password {
	struct slice name;
	unsigned char salt[16], hash[32];
	uint64_t created_ms;
};
struct credential {
	bool known; /* there is such an account */
	struct account account;
	struct verifier v;  /* a fake one when there is none */
	bool fake;          /* so it is */
	struct slice crypt; /* an imported crypt(3) hash, "": none */
	struct app_password *app;
	size_t app_n;
};
/* An unknown name gives ERR_OK and a fake. */
enum ipc_err credential_get(struct base *b, struct pool *pool, struct slice name,
			    struct credential *out);
enum ipc_err credential_put(struct base *b, uint64_t account, const struct verifier *v,
			    struct slice crypt);
/* Puts the new verifier of the same password, unless the account changed since (then ERR_OK). */
enum ipc_err credential_renew(struct base *b, uint64_t account, uint64_t epoch,
			      const struct verifier *v);
enum ipc_err credential_apps(struct base *b, struct pool *pool, uint64_t account,
			     struct app_password **out, size_t *n);
enum ipc_err credential_app_add(struct base *b, uint64_t account, struct slice name,
				const unsigned char salt[16], const unsigned char hash[32]);
enum ipc_err credential_app_delete(struct base *b, uint64_t account, struct slice name);
/* A secret "{CRYPT}hash" (as exported by other servers): the hash; false: a plain password. */
bool credential_is_crypt(struct slice secret, struct slice *hash);

/* How a password fared. Slow; costs the same for wrong passwords and unknown users. */
enum credential_result { CREDENTIAL_WRONG, CREDENTIAL_RIGHT, CREDENTIAL_APP };
/* *which: name of the app password. *renew: the verifier should be made again. */
enum credential_result credential_check(const struct credential *c, struct slice password,
					struct slice *which, bool *renew);

/* --- slow.c: threads for that -------------------------------------------------------------- */
struct slow {
	struct list link;
	void (*run)(struct slow *s);  /* on a thread */
	void (*done)(struct slow *s); /* on the loop's thread */
};
void slow_open(unsigned threads, unsigned queue);
void slow_close(void);            /* finishes what is queued; done() is not called any more */
bool slow_submit(struct slow *s); /* false: the queue is full */
unsigned slow_waiting(void);

/* --- guard.c: failed logins are delayed, counted per account and per address (IPv6 by /64), and
 * in the end refused. Addresses from which an account has logged in before are counted apart, so
 * that strangers cannot lock the owner out. The same wrong password again does not count: a
 * forgotten device is no attack. Loopback counts per account only. */
struct guard {                            /* the counters that a login concerns */
	uint64_t account, address, known; /* 0: none */
};
/* name "": not known yet. peer: an address, perhaps with a port: "192.0.2.1", "192.0.2.1:25",
 * "[::1]:25". */
struct guard guard_for(struct slice name, struct slice peer);
bool guard_allows(const struct guard *g);
/* Milliseconds to wait before the answer. password: a keyed hash of the wrong one, 0: unknown. */
uint64_t guard_failed(const struct guard *g, uint64_t password);
void guard_succeeded(const struct guard *g);
void guard_reset(void);

/* --- remember.c: right passwords, under a hash keyed by this process, for auth_remember. --- */
/* The account, 0 when not remembered or its epoch has changed. */
uint64_t remember_find(struct slice name, struct slice password);
void remember_add(struct slice name, struct slice password, uint64_t account);
void remember_reset(void);

/* --- sasl.c: one exchange of PLAIN, LOGIN, SCRAM-SHA-256 or SCRAM-SHA-256-PLUS --------------- */
enum sasl_mech { SASL_NONE, SASL_PLAIN, SASL_LOGIN, SASL_SCRAM, SASL_SCRAM_PLUS };
enum sasl_result {
	SASL_MORE,      /* send *out, wait for the client */
	SASL_PASSWORD,  /* user and password are known: check them */
	SASL_VERIFIED,  /* SCRAM has proved it; *out is the final data */
	SASL_REFUSED,   /* wrong */
	SASL_MALFORMED, /* not the mechanism's syntax */
	SASL_TEMP       /* keys() could not say */
};
struct sasl;
/* The user's keys for SCRAM; called inside sasl_step. False: the directory failed. */
typedef bool sasl_keys_fn(void *arg, struct slice user, struct verifier *out);
enum sasl_mech sasl_mech(struct slice name);
/* cb_type, cb_data: of the TLS layer ("tls-exporter"), "" when there is none. */
struct sasl *sasl_new(enum sasl_mech m, struct slice cb_type, struct slice cb_data,
		      sasl_keys_fn *keys, void *arg);
void sasl_free(struct sasl **s);
/* True when the next step will ask for keys: it belongs on a directory thread. */
bool sasl_wants_keys(const struct sasl *s);
/* out in pool. */
enum sasl_result sasl_step(struct sasl *s, struct slice in, struct pool *pool, struct slice *out);
struct slice sasl_user(const struct sasl *s);     /* as typed; "" before it is known */
struct slice sasl_authzid(const struct sasl *s);  /* "" when not given */
struct slice sasl_password(const struct sasl *s); /* wiped by sasl_free() */

/* --- op_auth.c --- */
void op_auth_stats(struct buf *out); /* "name value" lines */

#endif
