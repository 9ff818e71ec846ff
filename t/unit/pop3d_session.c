/* pop3d: whole sessions over a socket pair, with a store that lives here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "libcommon/base/log.h"
#include "libcommon/ipc/frame.h"
#include "t/lib/pop3d_stub.h"

#define HELLO "+OK mail.a.test hamlet POP3\r\n"
#define LOGIN "USER alice\r\nPASS secret\r\n"
#define IN    HELLO "+OK now the password\r\n+OK 3 messages (57 octets)\r\n"

static const char M1[] = "Subject: one\r\n\r\nhello\r\n";
static const char M2[] = "A: b\r\n\r\n.dot\r\n..\r\nend";
static const char M3[] = "X: y\n\nlf\rcr\n.";
static struct pool *pool;

static struct client {
	struct stream *s;
	struct buf got;
	size_t rest; /* slow: bytes are taken late */
	bool slow, store_up;
	struct timer timer;
} client;

static void on_data(struct stream *s, void *arg)
{
	struct client *c = arg;
	struct slice in = stream_data(s);
	buf_add_slice(&c->got, in);
	stream_consume(s, in.len);
}
static void on_end(struct stream *s, void *arg, enum stream_end why)
{
	(void)arg;
	(void)why;
	stream_close(s);
}
static void stop_when_gone(void *arg)
{
	unsigned *turns = arg;
	if (stats.sessions && ++*turns < 5000000)
		loop_defer(stop_when_gone, turns);
	else
		loop_stop();
}
static void on_close(void *arg)
{
	static unsigned turns;
	(void)arg;
	turns = 0;
	loop_defer(stop_when_gone, &turns);
}
static const struct stream_ops ops = {on_data, on_end, NULL, NULL, on_close};

static void wake(struct timer *t)
{
	struct client *c = list_entry(t, struct client, timer);
	if (c->store_up)
		backend_store_up();
	stream_resume(c->s);
}

/* Sends all of the input at once and gives back all that the session says. */
static const char *talk_from(const char *from, const char *input, size_t len)
{
	buf_clear(&client.got);
	client.s = stream_new(stub_connect(from), NULL, &ops, &client);
	if (client.slow) {
		stream_pause(client.s);
		timer_set(&client.timer, 300, wake);
	}
	stream_write(client.s, input, len);
	stream_shutdown(client.s);
	loop_run();
	assert_int_equal(stats.sessions, 0);
	client.slow = client.store_up = false;
	return buf_cstr(&client.got);
}

static const char *talk(const char *input)
{
	return talk_from("127.0.0.1", input, strlen(input));
}

static int reset(void **state)
{
	(void)state;
	memset(&stub, 0, sizeof(stub));
	stub.text[0] = SLICE(M1);
	stub.text[1] = SLICE(M2);
	stub.text[2] = SLICE(M3);
	stub.uidl[1] = "own-uidl";
	stub.uidl[2] = "bad uidl";
	stub.n = 3;
	stub.expire_ms = CONF_NEVER;
	return 0;
}

static void check(const char *input, const char *want)
{
	assert_string_equal(talk(input), want);
}

static void mail_is_listed_and_fetched(void **state)
{
	(void)state;
	check(LOGIN "STAT\r\nLIST\r\nLIST 2\r\nUIDL\r\nUIDL 2\r\nNOOP\r\nRETR 1\r\nQUIT\r\n",
	      IN "+OK 3 57\r\n"
		 "+OK 3 messages (57 octets)\r\n1 23\r\n2 21\r\n3 13\r\n.\r\n"
		 "+OK 2 21\r\n"
		 "+OK unique-ids follow\r\n1 0000001100000001\r\n2 own-uidl\r\n"
		 "3 0000001100000003\r\n.\r\n"
		 "+OK 2 own-uidl\r\n"
		 "+OK\r\n"
		 "+OK 23 octets\r\nSubject: one\r\n\r\nhello\r\n.\r\n"
		 "+OK 0 messages deleted, bye\r\n");
	assert_int_equal(stub.quits, 1);
	assert_int_equal(stub.retrieved, 1);
}

static void dots_and_line_ends_are_put_right(void **state)
{
	(void)state;
	for (int fd = 0; fd < 2; fd++) {
		stub.memfd = fd;
		check(LOGIN "RETR 2\r\nRETR 3\r\nQUIT\r\n",
		      IN "+OK 21 octets\r\nA: b\r\n\r\n..dot\r\n...\r\nend\r\n.\r\n"
			 "+OK 13 octets\r\nX: y\r\n\r\nlf\r\ncr\r\n..\r\n.\r\n"
			 "+OK 0 messages deleted, bye\r\n");
	}
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

/* The text goes out in two pieces. */
static void put_right(const char *text, size_t cut, const char *want)
{
	int fd[2];
	char got[1024];
	struct dots d = {.mid = false};
	struct session s = {.state = STATE_TRANS};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	buf_clear(&client.got);
	s.stream = stream_new(fd[0], NULL, &(struct stream_ops){.on_end = on_end}, &s);
	reply_body(&s, &d, (struct slice){text, cut});
	reply_body(&s, &d, slice_of(text + cut));
	reply_body_end(&s, &d);
	stream_close(s.stream); /* what is queued goes out */
	ssize_t n = read(fd[1], got, sizeof(got) - 1);
	assert_true(n > 0);
	got[n] = 0;
	assert_string_equal(got, want);
	close(fd[1]);
	loop_defer(stop, NULL);
	loop_run();
}

#define ODD      ".a\r\n.\r\n..\nb\r\r\n.c\r.d\n\n\r\n\r"
#define ODD_WANT "..a\r\n..\r\n...\r\nb\r\n\r\n..c\r\n..d\r\n\r\n\r\n\r\n.\r\n"

static void pieces_may_be_cut_anywhere(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof(ODD); cut++)
		put_right(ODD, cut, ODD_WANT);
	/* Behind and before stretches that go out as they are. */
	char fill[200], text[512], want[512];
	for (size_t n = 0; n < sizeof(fill); n++) {
		memset(fill, 'x', n);
		fill[n] = 0;
		str_fmt(text, sizeof(text), "%s\r\n" ODD "%s\n", fill, fill);
		str_fmt(want, sizeof(want), "%s\r\n%.*s%s%s%s\n.\r\n", fill,
			(int)sizeof(ODD_WANT) - 5, ODD_WANT, n ? "\n" : "", fill, n ? "\r" : "");
		put_right(text, n / 2, want);
		put_right(text, n + 1, want);
	}
}

static void top_ends_after_its_lines(void **state)
{
	(void)state;
	check(
	    LOGIN
	    "TOP 1 0\r\nTOP 2 1\r\nTOP 2 2\r\nTOP 2 99\r\nTOP 3 1\r\nTOP 1 4294967295\r\nQUIT\r\n",
	    IN "+OK the top follows\r\nSubject: one\r\n\r\n.\r\n"
	       "+OK the top follows\r\nA: b\r\n\r\n..dot\r\n.\r\n"
	       "+OK the top follows\r\nA: b\r\n\r\n..dot\r\n...\r\n.\r\n"
	       "+OK the top follows\r\nA: b\r\n\r\n..dot\r\n...\r\nend\r\n.\r\n"
	       "+OK the top follows\r\nX: y\r\n\r\nlf\r\ncr\r\n.\r\n"
	       "+OK the top follows\r\nSubject: one\r\n\r\nhello\r\n.\r\n"
	       "+OK 0 messages deleted, bye\r\n");
	assert_int_equal(stub.retrieved, 0);
}

static void top_reads_no_more_than_it_needs(void **state)
{
	(void)state;
	struct buf big;
	buf_init(&big, 0);
	buf_adds(&big, "A: b\r\n");
	while (big.len < 20000)
		buf_adds(&big, "Long: header\r\n");
	buf_adds(&big, "\r\n");
	while (big.len < 500000)
		buf_adds(&big, "line\r\n");
	stub.text[0] = buf_slice(&big);
	const char *got = talk(LOGIN "TOP 1 2\r\nQUIT\r\n");
	const char *end = "\r\n\r\nline\r\nline\r\n.\r\n+OK 0 messages deleted, bye\r\n";
	assert_string_equal(got + strlen(got) - strlen(end), end);
	assert_int_equal(stub.reads, 2);
	buf_free(&big);
}

static void deletions_come_with_quit_only(void **state)
{
	(void)state;
	check(LOGIN "DELE 1\r\nDELE 1\r\nRETR 1\r\nSTAT\r\nLIST 1\r\nLIST\r\nRSET\r\nSTAT\r\nDELE "
		    "2\r\nQUIT\r\n",
	      IN "+OK message 1 will be deleted at QUIT\r\n"
		 "-ERR message 1 is deleted\r\n-ERR message 1 is deleted\r\n+OK 2 34\r\n"
		 "-ERR message 1 is deleted\r\n"
		 "+OK 2 messages (34 octets)\r\n2 21\r\n3 13\r\n.\r\n"
		 "+OK nothing is marked as deleted\r\n+OK 3 57\r\n"
		 "+OK message 2 will be deleted at QUIT\r\n+OK 1 messages deleted, bye\r\n");
	assert_int_equal(stub.deleted, 1);
	assert_int_equal(stub.closes, 0);
	reset(NULL);
	check(LOGIN "DELE 1\r\n", IN "+OK message 1 will be deleted at QUIT\r\n");
	assert_int_equal(stub.quits, 0);
	assert_int_equal(stub.closes, 1);
	reset(NULL);
	stub.quit = ERR_FULL;
	check(LOGIN "DELE 1\r\nQUIT\r\n",
	      IN "+OK message 1 will be deleted at QUIT\r\n"
		 "-ERR [SYS/TEMP] no message was deleted, try again later\r\n");
	assert_int_equal(stub.closes, 1);
}

static void sasl_exchanges_are_framed(void **state)
{
	(void)state;
#define OPENED "+OK 3 messages (57 octets)\r\n"
	check("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", HELLO OPENED);
	check("auth plain\r\nAGFsaWNlAHNlY3JldA==\r\n", HELLO "+ \r\n" OPENED);
	check("AUTH LOGIN\r\n*\r\nQUIT\r\n",
	      HELLO "+ VXNlcm5hbWU6\r\n-ERR cancelled\r\n+OK bye\r\n");
	assert_int_equal(stub.cancels, 1);
	check("AUTH SCRAM-SHA-256 biws\r\n\r\n", HELLO "+ dj1wcm9vZg==\r\n" OPENED);
	check("AUTH SCRAM-SHA-256 biws\r\nbiws\r\n",
	      HELLO "+ dj1wcm9vZg==\r\n-ERR an empty response was awaited\r\n");
	check("AUTH PLAIN AAAA=\r\nAUTH X\r\nAUTH SCRAM-SHA-256-PLUS\r\nAUTH\r\n",
	      HELLO "-ERR that is not base64\r\n-ERR unknown mechanism\r\n"
		    "-ERR unknown mechanism\r\n+OK mechanisms follow\r\nSCRAM-SHA-256\r\nPLAIN\r\n"
		    "LOGIN\r\n.\r\n");
	check("AUTH PLAIN =\r\n", HELLO "-ERR [AUTH] wrong user or password\r\n");
	check("AUTH PLAIN\r\n!\r\n", HELLO "+ \r\n-ERR that is not base64\r\n");
}

static void refused_logins_say_why(void **state)
{
	(void)state;
	static const struct {
		enum ipc_err auth, open;
		const char *want;
	} row[] = {
	    {ERR_AUTH, ERR_OK, "[AUTH] wrong user or password"},
	    {ERR_NOTFOUND, ERR_OK, "[AUTH] wrong user or password"},
	    {ERR_TEMP, ERR_OK, "[SYS/TEMP] the mail store is not available, try again later"},
	    {ERR_LIMIT, ERR_OK, "[SYS/TEMP] too many logins, try again later"},
	    {ERR_OK, ERR_INUSE, "[IN-USE] another session has this mailbox open"},
	    {ERR_OK, ERR_DELAY, "[LOGIN-DELAY] wait 5 s"},
	    {ERR_OK, ERR_GRANT, "[AUTH] your login is no longer valid, log in again"},
	};
	char want[256];
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		stub.auth = row[i].auth;
		stub.open = row[i].open;
		str_fmt(want, sizeof(want),
			HELLO "+OK now the password\r\n-ERR %s\r\n-ERR log in first\r\n+OK bye\r\n",
			row[i].want);
		check(LOGIN "STAT\r\nQUIT\r\n", want);
	}
}

static void wrong_passwords_end_the_session(void **state)
{
	(void)state;
	check("USER alice\r\nPASS a\r\nPASS b\r\nUSER alice\r\nPASS c\r\nUSER alice\r\nPASS "
	      "d\r\nNOOP\r\n",
	      HELLO
	      "+OK now the password\r\n-ERR [AUTH] wrong user or password\r\n-ERR USER first\r\n"
	      "+OK now the password\r\n-ERR [AUTH] wrong user or password\r\n"
	      "+OK now the password\r\n-ERR [AUTH] wrong user or password\r\n");
}

static void passwords_in_the_clear_are_refused_with_advice(void **state)
{
	(void)state;
	static const char input[] = LOGIN "AUTH PLAIN x\r\nCAPA\r\nSTLS\r\nQUIT\r\n";
#define ADVICE                                                                                  \
	"-ERR passwords are not taken without encryption: choose SSL/TLS and port 995 in your " \
	"mail program, or STARTTLS on this port\r\n"
	assert_string_equal(
	    talk_from("192.0.2.1", input, sizeof(input) - 1), HELLO ADVICE ADVICE ADVICE
	    "+OK capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
	    "PIPELINING\r\nUTF8 USER\r\nLANG\r\nLOGIN-DELAY 0 USER\r\nEXPIRE NEVER USER\r\n"
	    "IMPLEMENTATION hamlet-" HAMLET_VERSION "\r\n.\r\n"
	    "-ERR [SYS/TEMP] no certificate at the moment\r\n+OK bye\r\n");
}

static void capabilities_tell_the_truth(void **state)
{
	(void)state;
	stub.delay_ms = 60000;
	stub.expire_ms = 14ull * 86400000;
	const char *got = talk("CAPA\r\n" LOGIN "CAPA\r\nQUIT\r\n");
	assert_non_null(strstr(got, "\r\nUSER\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\n"));
	const char *after = strstr(got, "57 octets");
	assert_non_null(strstr(after, "\r\nLOGIN-DELAY 60\r\nEXPIRE 14\r\n"));
	assert_null(strstr(after, "SASL"));
	got = talk("CAPA\r\nQUIT\r\n");
	assert_non_null(strstr(got, "\r\nLOGIN-DELAY 60 USER\r\nEXPIRE 14 USER\r\n"));
	stub.expire_ms = 0;
	got = talk(LOGIN "CAPA\r\nQUIT\r\n");
	assert_non_null(strstr(got, "\r\nEXPIRE 0\r\n"));
}

static void languages_and_utf8_are_answered(void **state)
{
	(void)state;
	check("UTF8\r\nLANG\r\nLANG EN\r\nLANG *\r\nLANG xx\r\nQUIT\r\n",
	      HELLO "+OK UTF-8 it is\r\n+OK languages follow\r\nen English\r\n.\r\n"
		    "+OK en English it is\r\n+OK en English it is\r\n-ERR no such language\r\n"
		    "+OK bye\r\n");
}

static void wrong_commands_are_answered_and_counted(void **state)
{
	(void)state;
	check(LOGIN
	      "FOO\r\nSTAT 1\r\nRETR\r\nRETR 0\r\nRETR 4\r\nRETR x\r\nRETR 1 2 3\r\nUSER a\r\n"
	      "TOP 1\r\nTOP 1 -1\r\n\r\nQUIT\r\n",
	      IN "-ERR unknown command\r\n-ERR usage: STAT\r\n-ERR usage: RETR message\r\n"
		 "-ERR no such message\r\n-ERR no such message\r\n-ERR no such message\r\n"
		 "-ERR usage: RETR message\r\n-ERR you are logged in already\r\n"
		 "-ERR usage: TOP message lines\r\n-ERR that is no number of lines\r\n"
		 "-ERR unknown command\r\n+OK 0 messages deleted, bye\r\n");
	struct buf in;
	buf_init(&in, 0);
	for (int i = 0; i < 100; i++)
		buf_adds(&in, "FOO\r\n");
	const char *got = talk(buf_cstr(&in));
	assert_non_null(strstr(got, "-ERR too many errors\r\n"));
	assert_true(strlen(got) < 600);
	buf_clear(&in);
	for (int i = 0; i < 100; i++)
		buf_adds(&in, "CAPA\r\n");
	assert_non_null(strstr(talk(buf_cstr(&in)), "-ERR too much before the login\r\n"));
	buf_free(&in);
	check("GET / HTTP/1.1\r\nHost: x\r\n\r\n", HELLO "-ERR this is a mail server\r\n");
}

static void bad_lines_are_refused(void **state)
{
	(void)state;
	check("CAPA\nQUIT\r\n", HELLO "-ERR bare LF received: lines end in CRLF only\r\n");
	check("CAPA\rX\r\n", HELLO "-ERR bare CR received: lines end in CRLF only\r\n");
	assert_string_equal(talk_from("127.0.0.1", "NO\0OP\r\n", 7),
			    HELLO "-ERR NUL received: lines end in CRLF only\r\n");
	struct buf in;
	buf_init(&in, 0);
	buf_adds(&in, "NOOP");
	while (in.len < 300)
		buf_addc(&in, ' ');
	buf_adds(&in, "\r\n");
	while (in.len < 20000)
		buf_addc(&in, 'x');
	buf_adds(&in, "\r\nQUIT\r\n");
	check(buf_cstr(&in), HELLO "-ERR line too long\r\n-ERR line too long\r\n+OK bye\r\n");
	buf_free(&in);
}

static void large_messages_wait_for_slow_readers(void **state)
{
	(void)state;
	struct buf big, want;
	buf_init(&big, 0);
	buf_init(&want, 0);
	buf_printf(&want, IN "+OK %d octets\r\n", 3000000);
	for (int i = 0; big.len < 3000000; i++) {
		size_t n = big.len;
		buf_printf(&big, "%s%07d\r\n", i % 3 ? "a" : ".", i);
		if (big.len > 3000000)
			big.len = 3000000;
		if (!(i % 3))
			buf_addc(&want, '.');
		buf_add(&want, big.p + n, big.len - n);
	}
	buf_adds(&want, ".\r\n+OK 0 messages deleted, bye\r\n");
	stub.text[0] = buf_slice(&big);
	for (int i = 0; i < 2; i++) {
		client.slow = true;
		stub.memfd = i == 0;
		stub.lose = 0;
		const char *got = talk(LOGIN "RETR 1\r\nQUIT\r\n");
		/* the size in the greeting of the mailbox differs */
		got = strstr(got, "+OK 3000000 octets");
		assert_true(strcmp(got, strstr(buf_cstr(&want), "+OK 3000000 octets")) == 0);
	}
	buf_free(&big);
	buf_free(&want);
}

static void a_restarted_store_breaks_no_session(void **state)
{
	(void)state;
	stub.lose = 1; /* the login */
	check(LOGIN "STAT\r\nQUIT\r\n", IN "+OK 3 57\r\n+OK 0 messages deleted, bye\r\n");
	stub.read = ERR_LOST; /* until the store is back: see wake() */
	client.slow = true;
	assert_non_null(strstr(talk(LOGIN "TOP 1 0\r\nQUIT\r\n"), "[SYS/TEMP]"));
}

static void lost(struct timer *t)
{
	(void)t;
	stub.read = stub.quit = ERR_OK;
}

static void questions_that_were_lost_are_repeated(void **state)
{
	(void)state;
	static struct timer timer;
	stub.read = ERR_LOST;
	timer_set(&timer, 250, lost);
	check(LOGIN "TOP 1 0\r\nQUIT\r\n",
	      IN "+OK the top follows\r\nSubject: one\r\n\r\n.\r\n+OK 0 messages deleted, bye\r\n");
	assert_true(stub.agains >= 1);
	reset(NULL);
	stub.quit = ERR_LOST;
	timer_set(&timer, 250, lost);
	check(LOGIN "DELE 1\r\nQUIT\r\n",
	      IN "+OK message 1 will be deleted at QUIT\r\n+OK 1 messages deleted, bye\r\n");
	assert_true(stub.quits >= 2);
}

static void a_quit_that_was_not_heard_of_is_not_repeated(void **state)
{
	(void)state;
	stub.quit_unheard = true;
	check(LOGIN "DELE 1\r\nQUIT\r\n",
	      IN "+OK message 1 will be deleted at QUIT\r\n+OK 1 messages deleted, bye\r\n");
	assert_int_equal(stub.quits, 1);
	assert_int_equal(stub.agains, 1);
	assert_int_equal(stub.closes, 1);
}

static void reading_errors_are_told_or_break_off(void **state)
{
	(void)state;
	stub.read = ERR_NOTFOUND;
	check(LOGIN "RETR 1\r\nSTAT\r\nQUIT\r\n",
	      IN "-ERR no such message\r\n+OK 3 57\r\n+OK 0 messages deleted, bye\r\n");
	stub.read = ERR_GRANT;
	check(LOGIN "RETR 1\r\nSTAT\r\nQUIT\r\n",
	      IN "-ERR [AUTH] your login is no longer valid, log in again\r\n");
}

static void messages_in_order_are_read_ahead(void **state)
{
	(void)state;
	static const char want[] =
	    HELLO "+OK now the password\r\n+OK 8 messages (48 octets)\r\n"
		  "+OK 6 octets\r\nA: 1\r\n.\r\n+OK 6 octets\r\nA: 2\r\n.\r\n"
		  "+OK 6 octets\r\nA: 3\r\n.\r\n+OK message 4 will be deleted at QUIT\r\n"
		  "-ERR message 4 is deleted\r\n+OK 6 octets\r\nA: 5\r\n.\r\n"
		  "+OK 6 octets\r\nA: 2\r\n.\r\n+OK 1 messages deleted, bye\r\n";
	static const char *const texts[] = {"A: 1\r\n", "A: 2\r\n", "A: 3\r\n", "A: 4\r\n",
					    "A: 5\r\n", "A: 6\r\n", "A: 7\r\n", "A: 8\r\n"};
	for (int leave_out = 0; leave_out < 2; leave_out++) {
		reset(NULL);
		stub.n = 8;
		stub.leave_out = leave_out ? 1u << 2 : 0; /* the very message that is wanted */
		for (unsigned i = 0; i < 8; i++)
			stub.text[i] = slice_of(texts[i]);
		check(LOGIN "RETR 1\r\nRETR 2\r\nRETR 3\r\nDELE 4\r\nRETR 4\r\nRETR 5\r\nRETR 2\r\n"
			    "QUIT\r\n",
		      want);
		assert_int_equal(stub.batches, 1);
		assert_int_equal(stub.reads, leave_out ? 3 : 2);
		assert_int_equal(stub.retrieved, 4);
	}
}

static int begin(void **state)
{
	(void)state;
	pool = pool_new(0);
	log_init("test", LOG_TO_STDERR, LOG_LV_ERROR);
	stub_start(pool);
	conf.store_timeout = 1000;
	return 0;
}

static int end(void **state)
{
	(void)state;
	buf_free(&client.got);
	pool_free(&pool);
	return 0;
}

#define T(f) cmocka_unit_test_setup(f, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(passwords_in_the_clear_are_refused_with_advice),
	    T(mail_is_listed_and_fetched),
	    T(dots_and_line_ends_are_put_right),
	    T(pieces_may_be_cut_anywhere),
	    T(top_ends_after_its_lines),
	    T(top_reads_no_more_than_it_needs),
	    T(deletions_come_with_quit_only),
	    T(sasl_exchanges_are_framed),
	    T(refused_logins_say_why),
	    T(wrong_passwords_end_the_session),
	    T(capabilities_tell_the_truth),
	    T(languages_and_utf8_are_answered),
	    T(wrong_commands_are_answered_and_counted),
	    T(bad_lines_are_refused),
	    T(large_messages_wait_for_slow_readers),
	    T(a_restarted_store_breaks_no_session),
	    T(questions_that_were_lost_are_repeated),
	    T(a_quit_that_was_not_heard_of_is_not_repeated),
	    T(reading_errors_are_told_or_break_off),
	    T(messages_in_order_are_read_ahead),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, begin, end);
}
