/* The directives of smtpd.conf. */
#include "smtpd/smtpd.h"
#include <ctype.h>
#include <unistd.h>
#include "libcommon/mail/addr.h"
#include "smtpd/notice.h"

struct smtpd_conf conf;

static const char *const EARLY_NAMES[] = {"accept", "refuse", NULL};

#define F(field) offsetof(struct smtpd_conf, field)
#define SECOND   1000u
#define HOUR     3600000u
#define GIB      (1ull << 30)

const struct conf_directive conf_table[] = {
    {"hostname", CONF_STRING, F(hostname), 0, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Name in the banner, in EHLO's answer and in Received fields; the host's own unless given."},
    {"smtp", CONF_ADDR, F(smtp), CONF_MULTI, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Listens for SMTP from other servers (port 25)."},
    {"submission", CONF_ADDR, F(submission), CONF_MULTI, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Listens for submission by users, TLS by STARTTLS (port 587)."},
    {"submissions", CONF_ADDR, F(submissions), CONF_MULTI, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Listens for submission by users, TLS from the start (port 465)."},
    {"lmtp", CONF_ADDR, F(lmtp), CONF_MULTI, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Listens for LMTP: another mail server delivers to the users here."},
    {"local", CONF_ADDR, F(local), CONF_MULTI, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Listens on a Unix socket for mail of this machine's users, whom the kernel names: no "
     "password. hamlet-sendmail(8) uses RUNDIR/local/smtp.sock."},
    {"local-domain", CONF_STRING, F(local_domain), 0, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Domain of a local user's own address, and of addresses that local programs write without "
     "one; unless given, the hostname."},
    {"local-trusted", CONF_WORDS, F(local_trusted), 0, "root", 0, 0, NULL, NULL, 0, NULL,
     "Names or numbers of the local users who may give any sender; all others may give their own "
     "address alone."},
    {"local-users", CONF_PATH, F(local_users), 0, "/etc/passwd", 0, 0, NULL, NULL, 0, NULL,
     "The file that names the local users, in the form of passwd(5)."},
    {"local-rate", CONF_INT, F(local_rate), 0, "300", 0, 1000000, NULL, NULL, 0, NULL,
     "Most messages that a local user who is not trusted may hand in in a minute; 0: no limit."},
    {"proxy-from", CONF_NET, F(proxy_from), CONF_MULTI, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Peers that send a PROXY header before the protocol."},
    {"postmaster", CONF_STRING, F(postmaster), 0, NULL, 0, 0, NULL, NULL, 0, NULL,
     "Where mail to postmaster without a domain goes; unless given, to postmaster at the hostname "
     "without its first label."},
    {"notices", CONF_BLOCK, F(notices), 0, NULL, 0, 0, NULL, notice_table,
     sizeof(struct notice_conf), NULL, "What senders are told of mail that was not delivered."},
    {"smtp-auth", CONF_BOOL, F(smtp_auth), 0, "off", 0, 0, NULL, NULL, 0, NULL,
     "Offers AUTH on the smtp listeners too, not on the submission ones alone."},
    {"early-talkers", CONF_ENUM, F(early_talkers), 0, "accept", 0, 0, EARLY_NAMES, NULL, 0, NULL,
     "What happens to peers of the smtp listeners that send before the banner."},
    {"banner-delay", CONF_DURATION, F(banner_delay), 0, "0", 0, 60 * SECOND, NULL, NULL, 0, NULL,
     "How long the smtp listeners wait before the banner, when early talkers are refused."},
    {"max-size", CONF_SIZE, F(max_size), 0, "50M", 65536, GIB, NULL, NULL, 0, NULL,
     "Largest message."},
    {"max-recipients", CONF_INT, F(max_recipients), 0, "1000", 100, 100000, NULL, NULL, 0, NULL,
     "Most recipients of a message."},
    {"max-messages", CONF_INT, F(max_messages), 0, "10000", 0, UINT32_MAX, NULL, NULL, 0, NULL,
     "Most messages of a connection; 0: no limit."},
    {"max-errors", CONF_INT, F(max_errors), 0, "30", 1, 100000, NULL, NULL, 0, NULL,
     "Refused commands and recipients between two accepted messages that end the connection."},
    {"max-idle-commands", CONF_INT, F(max_idle_commands), 0, "200", 10, 100000, NULL, NULL, 0, NULL,
     "Commands like NOOP and RSET between two accepted messages that end the connection."},
    {"max-auth-failures", CONF_INT, F(max_auth_failures), 0, "3", 1, 100, NULL, NULL, 0, NULL,
     "Failed logins that end the connection."},
    {"max-line", CONF_SIZE, F(max_line), 0, "64K", 1000, 1 << 20, NULL, NULL, 0, NULL,
     "Longest line of a message, its end included."},
    {"message-memory", CONF_SIZE, F(message_memory), 0, "1G", 1 << 20, 1024 * GIB, NULL, NULL, 0,
     NULL,
     "Memory of a process for messages over 256K that are being received; what is beyond it "
     "is answered 452."},
    {"max-hops", CONF_INT, F(max_hops), 0, "100", 10, 1000, NULL, NULL, 0, NULL,
     "Received fields of a message that is taken for one in a loop."},
    {"max-hold", CONF_DURATION, F(max_hold), 0, "30d", 0, 366 * 24ull * HOUR, NULL, NULL, 0, NULL,
     "How long users may have the mail that they submit held back (FUTURERELEASE); 0: not "
     "offered."},
    {"min-deliver-by", CONF_DURATION, F(min_deliver_by), 0, "0", 0, 7 * 24ull * HOUR, NULL, NULL, 0,
     NULL, "The shortest time in which mail may be asked to be delivered or returned (DELIVERBY)."},
    {"connections", CONF_INT, F(connections), 0, "10000", 1, 1000000, NULL, NULL, 0, NULL,
     "Most connections of a listener and process."},
    {"connections-per-address", CONF_INT, F(connections_per_address), 0, "250", 0, 1000000, NULL,
     NULL, 0, NULL, "Most connections of a client address (IPv6: of a /64); 0: no limit."},
    {"command-timeout", CONF_DURATION, F(command_timeout), 0, "5m", SECOND, 24 * HOUR, NULL, NULL,
     0, NULL, "How long the next command may take."},
    {"data-timeout", CONF_DURATION, F(data_timeout), 0, "5m", SECOND, 24 * HOUR, NULL, NULL, 0,
     NULL, "How long a peer may send nothing inside a message."},
    {"message-timeout", CONF_DURATION, F(message_timeout), 0, "1h", SECOND, 24 * HOUR, NULL, NULL,
     0, NULL, "How long a whole message may take."},
    {"store-timeout", CONF_DURATION, F(store_timeout), 0, "2m", SECOND, HOUR, NULL, NULL, 0, NULL,
     "How long a command waits for a store that restarts before it is answered 451."},
    {"relay", CONF_BLOCK, F(out.relay), 0, NULL, 0, 0, NULL, relay_table,
     sizeof(struct relay_block), NULL, "Mail that goes out."},
    {"dns", CONF_BLOCK, F(out.dns), 0, NULL, 0, 0, NULL, dns_table, sizeof(struct dns_block), NULL,
     "How the hosts that take mail are looked up."},
    {"route", CONF_BLOCK, F(out.routes), CONF_MULTI | CONF_ARGS, NULL, 0, 0, NULL, route_table,
     sizeof(struct route_block), "DOMAIN ...",
     "How mail for some domains goes: a domain, .domain for what is below it, * for all others."},
    {NULL, CONF_BOOL, 0, 0, NULL, 0, 0, NULL, NULL, 0, NULL, NULL},
};

static const struct service SMTP = {.name = "smtp"};
static const struct service SUBMISSION = {.name = "submission", .submission = true};
static const struct service SUBMISSIONS = {.name = "submissions", .submission = true, .tls = true};
static const struct service LOCAL = {.name = "local", .local = true};
static const struct service LMTP = {.name = "lmtp", .lmtp = true};

/* The host's name, and its domain's postmaster; static because they live as long as conf. */
static char host_name[256], host_postmaster[320];

static void default_names(void)
{
	if (!conf.hostname) {
		if (gethostname(host_name, sizeof(host_name) - 1) != 0 || !host_name[0])
			strcpy(host_name, "localhost");
		conf.hostname = host_name;
	}
	if (!conf.postmaster) {
		const char *dot = strchr(conf.hostname, '.');
		const char *domain = dot && strchr(dot + 1, '.') ? dot + 1 : conf.hostname;
		str_fmt(host_postmaster, sizeof(host_postmaster), "postmaster@%s", domain);
		conf.postmaster = host_postmaster;
	}
	if (!conf.local_domain)
		conf.local_domain = conf.hostname;
}

void conf_verify(struct conf_errors *e, void *root)
{
	struct addr a;
	(void)root;
	if (conf.hostname && !addr_domain_ok(slice_of(conf.hostname), 0))
		conf_error(e, NULL, "hostname: \"%s\" is not a host name", conf.hostname);
	if (conf.postmaster && addr_mailbox(slice_of(conf.postmaster), 0, &a) != ADDR_OK)
		conf_error(e, NULL, "postmaster: \"%s\" is not an address", conf.postmaster);
	if (!conf.smtp.n && !conf.submission.n && !conf.submissions.n && !conf.lmtp.n &&
	    !conf.local.n)
		conf_error(e, NULL,
			   "nothing to listen on: give one of smtp, submission, submissions, lmtp, "
			   "local");
	if (conf.banner_delay && conf.early_talkers != EARLY_REFUSE)
		conf_error(e, NULL, "banner-delay: needs early-talkers refuse");
	if (conf.local_domain && !addr_domain_ok(slice_of(conf.local_domain), 0))
		conf_error(e, NULL, "local-domain: \"%s\" is not a domain", conf.local_domain);
	for (size_t i = 0; i < conf.local.n; i++) {
		const struct conf_addr *at = conf.local.item[i];
		if (at->sa.ss_family != AF_UNIX)
			conf_error(e, NULL, "local: %s is not a Unix socket (unix:/path)",
				   at->text);
	}
	default_names();
	relay_conf_check(e, &conf.out);
	notice_conf_check(e);
}

static void add(struct pool *pool, struct listen_spec *at, size_t *n, const struct conf_list *l,
		const struct service *sv)
{
	const struct listen_spec like = {
	    .name = sv->name,
	    .arg = (void *)(uintptr_t)sv,
	    .proxy_from = conf.proxy_from.n && !sv->local ? &conf.proxy_from : NULL,
	    .max_per_address = (uint32_t)conf.connections_per_address,
	    .max_total = (uint32_t)conf.connections,
	    .owner = sv->local ? LISTEN_ALL : NULL,
	};
	listen_add(pool, at, n, l, &like);
}

size_t conf_listeners(struct pool *pool, struct listen_spec **out)
{
	size_t n = 0;
	size_t all =
	    conf.smtp.n + conf.submission.n + conf.submissions.n + conf.lmtp.n + conf.local.n;
	struct listen_spec *specs = pool_alloc(pool, (all + 1) * sizeof(*specs));
	add(pool, specs, &n, &conf.smtp, &SMTP);
	add(pool, specs, &n, &conf.submission, &SUBMISSION);
	add(pool, specs, &n, &conf.submissions, &SUBMISSIONS);
	add(pool, specs, &n, &conf.lmtp, &LMTP);
	add(pool, specs, &n, &conf.local, &LOCAL);
	*out = specs;
	return n;
}
