/* Drives a real stored through its sockets and prints TAP: accounts, deliveries over two shards,
 * logins, POP3, and that kill -9 between them loses and doubles nothing.
 *   storetest PATH-OF-STORED */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "libcommon/ipc/peer.h"
#include "libcommon/ipc/store.h"

enum { LARGE = 700000 };
static const char *program;
static char dir[64], large[LARGE];
static pid_t stored;
static struct peer_sync *ctl, *smtpd, *pop3d;
static struct pool *pool;
static int count, failures;

static void ok(bool good, const char *what)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++count, what);
	fflush(stdout);
	failures += !good;
}

static void bail(const char *what, const char *why)
{
	printf("Bail out! %s: %s\n", what, why);
	if (stored > 0)
		kill(stored, SIGKILL);
	exit(1);
}

static void pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	nanosleep(&t, NULL);
}

/* --- the daemon ---------------------------------------------------------- */

static struct peer_sync *reach(const char *name, enum role role)
{
	char path[120];
	const char *why = "";
	snprintf(path, sizeof(path), "%s/run/store/%s.sock", dir, name);
	for (int i = 0; i < 200; i++) {
		struct peer_sync *p = peer_sync_open(path, role, 10000, &why);
		if (p)
			return p;
		pause_ms(50);
	}
	bail(path, why);
	return NULL;
}

static void start(void)
{
	stored = fork();
	if (stored == 0) {
		char conf[100];
		snprintf(conf, sizeof(conf), "%s/stored.conf", dir);
		execl(program, program, "-d", "-f", conf, (char *)NULL);
		_exit(127);
	}
	ctl = reach("ctl", ROLE_CTL);
	smtpd = reach("smtpd", ROLE_SMTPD);
	pop3d = reach("pop3d", ROLE_POP3D);
}

static int stop(int sig)
{
	int status = 0;
	peer_sync_close(&ctl);
	peer_sync_close(&smtpd);
	peer_sync_close(&pop3d);
	kill(stored, sig);
	waitpid(stored, &status, 0);
	stored = 0;
	return status;
}

static void kill_and_start(void)
{
	stop(SIGKILL);
	start();
}

/* --- requests ------------------------------------------------------------ */

/* NULL with a line of why when another message came back. A descriptor is left in *fd. */
static const void *ask(struct peer_sync *p, enum msg_type t, const void *msg, enum msg_type want,
		       int *fd)
{
	enum msg_type type;
	int unused;
	const void *m = peer_sync_call(p, pool, t, msg, &type, fd ? fd : &unused);
	if (type == want)
		return m;
	if (type == MSG_error) {
		const struct msg_error *e = m;
		printf("# %s: %.*s\n", ipc_err_name((enum ipc_err)e->code), SLICE_FMT(e->text));
	}
	return NULL;
}

static const struct msg_ctl_reply *say(const char *line, const char *secret)
{
	struct row_word words[16];
	struct msg_ctl m = {.words = words, .secret = slice_of(secret), .body = BODY_NONE};
	struct slice rest = slice_of(line), word;
	while ((word = slice_word(&rest)).len && m.words_n < 16)
		words[m.words_n++].text = word;
	return ask(ctl, MSG_ctl, &m, MSG_ctl_reply, NULL);
}

static bool cell_is(const struct msg_ctl_reply *r, const char *name, const char *want)
{
	for (uint32_t i = 0; r && i < r->cells_n; i++)
		if (slice_eqs(r->cells[i].name, name))
			return slice_eqs(r->cells[i].text, want);
	return false;
}

static bool deliver(const char *id, struct body body, const char *a, const char *b)
{
	struct row_rcpt to[] = {{.addr = slice_of(a)}, {.addr = slice_of(b ? b : "")}};
	struct msg_deliver m = {.id = slice_of(id),
				.sid = SLICE("sid"),
				.sender = SLICE("x@elsewhere.example"),
				.rcpts = to,
				.rcpts_n = b ? 2 : 1,
				.body = body};
	const struct msg_delivered *d = ask(smtpd, MSG_deliver, &m, MSG_delivered, NULL);
	return d && d->results_n == m.rcpts_n && d->results[0].code == ERR_OK;
}

static struct body text(const char *s)
{
	return (struct body){.bytes = slice_of(s), .fd = -1};
}

static struct slice login(const char *user)
{
	char plain[100];
	int n = snprintf(plain, sizeof(plain), "%c%s%c%s", 0, user, 0, "a good password");
	struct msg_auth_start m = {.sid = SLICE("sid"),
				   .mech = SLICE("PLAIN"),
				   .has_initial = 1,
				   .initial = {plain, (size_t)n},
				   .service = SLICE("pop3"),
				   .peer = SLICE("127.0.0.1"),
				   .tls = 1};
	const struct msg_auth_ok *a = ask(pop3d, MSG_auth_start, &m, MSG_auth_ok, NULL);
	if (!a)
		return SLICE("");
	return (struct slice){pool_dup(pool, a->grant.p, a->grant.len), a->grant.len};
}

static const struct msg_pop_list *list(struct slice grant)
{
	struct msg_pop_open m = {
	    .grant = grant, .sid = SLICE("sid"), .lock = SLICE("a lock's word"), .again = 1};
	return ask(pop3d, MSG_pop_open, &m, MSG_pop_list, NULL);
}

/* Queued messages arrive a little later. */
static const struct msg_pop_list *list_of(struct slice grant, uint32_t n)
{
	const struct msg_pop_list *l = NULL;
	for (int i = 0; i < 100; i++) {
		l = list(grant);
		if (l && l->messages_n >= n)
			break;
		pause_ms(50);
	}
	return l;
}

static bool reads_as(struct slice grant, const struct msg_pop_list *l, uint32_t i, const char *want,
		     size_t len)
{
	int fd = -1;
	struct slice got;
	if (!l || i >= l->messages_n)
		return false;
	struct msg_message_read m = {
	    .grant = grant, .mailbox = l->mailbox, .uid = l->messages[i].uid};
	const struct msg_message_data *d = ask(pop3d, MSG_message_read, &m, MSG_message_data, &fd);
	if (!d || d->size != len)
		return false;
	struct body b = d->body;
	if (fd >= 0)
		b.fd = fd;
	bool same = body_map(&b, &got) && got.len == len && memcmp(got.p, want, len) == 0;
	body_unmap(&b, &got);
	if (fd >= 0)
		close(fd);
	return same;
}

/* --- the tests ----------------------------------------------------------- */

static struct body large_body(void)
{
	int fd = body_memfd("large");
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)('a' + i % 23);
	if (fd < 0 || write(fd, large, LARGE) != LARGE)
		bail("memfd", strerror(errno));
	return (struct body){.fd = fd, .size = LARGE};
}

static void people(void)
{
	ok(say("domain add a.test", "") != NULL, "a domain is added");
	ok(say("account add alice@a.test", "a good password") != NULL, "an account is added");
	ok(say("account add bob@a.test", "a good password") != NULL, "and another one");
}

static void deliveries(void)
{
	struct body body = large_body();
	ok(deliver("m1", text("first"), "alice@a.test", NULL), "a message is taken");
	ok(deliver("m2", body, "alice@a.test", "bob@a.test"), "a large one for two shards, too");
	kill_and_start();
	ok(deliver("m1", text("first"), "alice@a.test", NULL), "after kill -9, the first again");
	ok(deliver("m2", body, "alice@a.test", "bob@a.test"), "and the second");
	close(body.fd);
}

static void mailboxes(void)
{
	struct slice alice = login("alice@a.test"), bob = login("bob@a.test");
	ok(alice.len > 0 && bob.len > 0, "both log in");
	const struct msg_pop_list *l = list_of(alice, 2);
	ok(l && l->messages_n == 2, "alice has two messages");
	ok(reads_as(alice, l, 0, "first", 5), "the first is as it was sent");
	ok(reads_as(alice, l, 1, large, LARGE), "the large one is as it was sent");
	const struct msg_pop_list *bobs = list_of(bob, 1);
	ok(bobs && bobs->messages_n == 1, "bob has one");
	ok(reads_as(bob, bobs, 0, large, LARGE), "as it was sent");
	ok(l && !reads_as(bob, l, 0, "first", 5), "and does not read alice's");

	kill_and_start();
	ok(reads_as(alice, l, 0, "first", 5), "the grants outlive a kill -9");
	struct row_uid gone = {l ? l->messages[0].uid : 0};
	struct msg_pop_quit quit = {.grant = alice,
				    .lock = SLICE("a lock's word"),
				    .mailbox = l ? l->mailbox : 0,
				    .deleted = &gone,
				    .deleted_n = 1};
	ok(ask(pop3d, MSG_pop_quit, &quit, MSG_ok, NULL) != NULL, "so does the session: QUIT");
	l = list(alice);
	ok(l && l->messages_n == 1, "which deleted one");
	ok(cell_is(say("mailbox restore alice@a.test", ""), "restored", "1"), "it is restored");
	l = list(alice);
	ok(l && l->messages_n == 2, "and there again");
	ok(reads_as(alice, l, 1, "first", 5), "as it was");
}

static void the_end(void)
{
	const struct msg_ctl_reply *r = say("check", "");
	bool sound = r != NULL;
	for (uint32_t i = 0; r && i < r->cells_n; i++)
		if (slice_eqs(r->cells[i].name, "finding")) {
			printf("# %.*s\n", SLICE_FMT(r->cells[i].text));
			sound = false;
		}
	ok(sound, "check finds nothing");
	int status = stop(SIGTERM);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "SIGTERM ends it in order");
}

int main(int argc, char **argv)
{
	char path[120];
	if (argc != 2) {
		fprintf(stderr, "usage: storetest PATH-OF-STORED\n");
		return 2;
	}
	program = argv[1];
	snprintf(dir, sizeof(dir), "/tmp/hamlet-store-XXXXXX");
	if (!mkdtemp(dir))
		bail(dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/run", dir);
	setenv("HAMLET_RUNDIR", path, 1);
	snprintf(path, sizeof(path), "%s/stored.conf", dir);
	FILE *f = fopen(path, "w");
	if (!f)
		bail(path, strerror(errno));
	fprintf(f, "version 1\nstate-dir %s/state\nshards 2\nscram-iterations 4096\n", dir);
	fclose(f);
	pool = pool_new(0);
	start();
	people();
	deliveries();
	mailboxes();
	the_end();
	pool_free(&pool);
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	printf("1..%d\n", count);
	return system(path) != 0 || failures > 0;
}
