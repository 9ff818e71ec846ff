#include "keyd/keyd.h"
#include <string.h>

#define DAY (24ull * 3600 * 1000)

struct keyd_conf conf;

static const struct conf_directive cert_table[] = {
    {"names", CONF_WORDS, offsetof(struct cert_conf, names), CONF_NEEDED, NULL,
     .help = "Host names, wildcards (*.example.org) and addresses that the certificate covers."},
    {"roles", CONF_WORDS, offsetof(struct cert_conf, roles), 0, NULL,
     .help =
	 "Daemons that may use it (smtpd, pop3d, imapd, dnsd, proxyd, httpd, ftpd); all without "
	 "this line."},
    {"default", CONF_BOOL, offsetof(struct cert_conf, is_default), 0, "off",
     .help =
	 "Shown to clients that name no host or an unknown one; without any such line it is the "
	 "first certificate of the file."},
    {.name = NULL},
};

const struct conf_directive conf_table[] = {
    {"state-dir", CONF_PATH, offsetof(struct keyd_conf, state_dir), 0, "/var/lib/hamlet/keyd",
     .help = "Folder of the keys and certificates, which nobody but keyd needs to read."},
    {"ca-name", CONF_STRING, offsetof(struct keyd_conf, ca_name), 0, "\"hamlet local CA\"",
     .help = "Name of the local CA, set when it is made at the first start."},
    {"ca-lifetime", CONF_DURATION, offsetof(struct keyd_conf, ca_lifetime), 0, "3650d",
     .min = 30 * DAY, .max = 36500 * DAY, .help = "How long the local CA is valid."},
    {"certificate-lifetime", CONF_DURATION, offsetof(struct keyd_conf, cert_lifetime), 0, "90d",
     .min = DAY, .max = 3650 * DAY,
     .help = "How long a certificate is valid that the local CA issues."},
    {"renew-before", CONF_DURATION, offsetof(struct keyd_conf, renew_before), 0, "30d",
     .min = 3600000, .max = 3650 * DAY,
     .help = "How long before its end a certificate of the local CA is replaced."},
    {"ticket-lifetime", CONF_DURATION, offsetof(struct keyd_conf, ticket_lifetime), 0, "1d",
     .min = 60000, .max = 7 * DAY,
     .help = "After this time the keys of TLS session tickets are replaced; each role has its "
	     "own."},
    {"certificate", CONF_BLOCK, offsetof(struct keyd_conf, certs), CONF_MULTI | CONF_ARGS, NULL,
     .block = cert_table, .block_size = sizeof(struct cert_conf), .arg = "NAME",
     .help = "A certificate that the local CA issues, and renews, unless an administrator "
	     "imported one under this name."},
    {.name = NULL},
};

const struct cert_conf *conf_cert(const char *name)
{
	for (size_t i = 0; i < conf.certs.n; i++) {
		const struct cert_conf *c = conf.certs.item[i];
		if (c->block.args.n && strcmp(c->block.args.w[0], name) == 0)
			return c;
	}
	return NULL;
}

unsigned conf_roles(const struct cert_conf *c)
{
	unsigned roles = 0;
	if (!c || !c->roles.n)
		return R_TLS;
	for (size_t i = 0; i < c->roles.n; i++)
		roles |= R_BIT(role_by_name(c->roles.w[i]));
	return roles;
}

static void check_cert(struct conf_errors *e, const struct cert_conf *c)
{
	const struct conf_where *at = &c->block.where;
	if (c->block.args.n != 1 || !cert_name_ok(slice_of(c->block.args.w[0]))) {
		conf_error(e, at, "certificate: needs one name of letters, digits, '.', '-', '_'");
		return;
	}
	if (conf_cert(c->block.args.w[0]) != c)
		conf_error(e, at, "certificate: \"%s\" is there twice", c->block.args.w[0]);
	for (size_t i = 0; i < c->names.n; i++)
		if (!host_ok(slice_of(c->names.w[i])))
			conf_error(e, at,
				   "names: \"%s\" is not a host name in lower case, a wildcard or "
				   "an address",
				   c->names.w[i]);
	for (size_t i = 0; i < c->roles.n; i++)
		if (!(R_BIT(role_by_name(c->roles.w[i])) & R_TLS))
			conf_error(e, at, "roles: \"%s\" is not a daemon that speaks TLS",
				   c->roles.w[i]);
}

void conf_check_all(struct conf_errors *e, void *root)
{
	const struct keyd_conf *c = root;
	for (size_t i = 0; i < c->certs.n; i++)
		check_cert(e, c->certs.item[i]);
	if (c->renew_before >= c->cert_lifetime) {
		const struct conf_where none = {0};
		conf_error(e, &none, "renew-before: not shorter than certificate-lifetime");
	}
}
