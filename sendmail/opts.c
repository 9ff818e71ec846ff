/* The options of sendmail, of 40 years: those that mean something here, and those that are taken
 * and mean nothing. A table, since getopt knows no options whose argument is optional and attached.
 */
#include "libcommon/mail/addr.h"
#include "sendmail/sendmail.h"

enum arg { NONE, NEEDED /* attached or the next word */, ATTACHED /* or none */ };
typedef void opt_fn(struct pool *pool, struct opts *o, const char *arg);

static void wrong(struct pool *pool, struct opts *o, const char *what, const char *arg)
{
	if (!o->error)
		o->error = pool_printf(pool, "%s: %s", arg, what);
}

static void ignored(struct pool *pool, struct opts *o, const char *arg)
{
	(void)pool;
	(void)o;
	(void)arg;
}

static void extract(struct pool *pool, struct opts *o, const char *arg)
{
	(void)pool;
	(void)arg;
	o->extract = true;
}

static void dots(struct pool *pool, struct opts *o, const char *arg)
{
	(void)pool;
	(void)arg;
	o->ignore_dots = true;
}

static void verbose(struct pool *pool, struct opts *o, const char *arg)
{
	(void)pool;
	(void)arg;
	o->verbose = true;
}

static void aliases(struct pool *pool, struct opts *o, const char *arg)
{
	(void)pool;
	(void)arg;
	o->mode = MODE_ALIASES;
}

static void sender(struct pool *pool, struct opts *o, const char *arg)
{
	(void)pool;
	o->has_sender = true;
	o->sender = arg;
}

static void name(struct pool *pool, struct opts *o, const char *arg)
{
	(void)pool;
	o->name = arg;
}

static void body(struct pool *pool, struct opts *o, const char *arg)
{
	struct slice s = slice_of(arg);
	if (slice_ieqs(s, "8BITMIME"))
		o->eight = true;
	else if (!slice_ieqs(s, "7BIT"))
		wrong(pool, o, "not a type of body (7BIT, 8BITMIME)", arg);
}

static void mode(struct pool *pool, struct opts *o, const char *arg)
{
	switch (arg[0]) {
	case 'm':
		o->mode = MODE_DELIVER;
		return;
	case 's':
		o->mode = MODE_SMTP;
		return;
	case 'v':
		o->mode = MODE_VERIFY;
		return;
	case 'p':
	case 'P':
		o->mode = MODE_QUEUE;
		return;
	case 'i':
		o->mode = MODE_ALIASES;
		return;
	default:
		o->mode = MODE_REFUSED;
		wrong(pool, o, "not a mode of this program (hamletd starts the daemons)",
		      pool_printf(pool, "-b%s", arg));
	}
}

static void queue(struct pool *pool, struct opts *o, const char *arg)
{
	(void)pool;
	(void)arg;
	o->mode = MODE_FLUSH;
}

/* -oi is -i; all others say how sendmail would do its work. */
static void option(struct pool *pool, struct opts *o, const char *arg)
{
	(void)pool;
	if (strcmp(arg, "i") == 0)
		o->ignore_dots = true;
}

static void long_option(struct pool *pool, struct opts *o, const char *arg)
{
	(void)pool;
	struct slice value = slice_of(arg), key = slice_cut(&value, '=');
	if (slice_ieqs(key, "IgnoreDots"))
		o->ignore_dots = !value.len || slice_istarts(value, "t");
}

static void notify(struct pool *pool, struct opts *o, const char *arg)
{
	static const char *const WORDS[] = {"SUCCESS", "FAILURE", "DELAY"};
	struct slice rest = slice_of(arg);
	const char *all = "";
	if (slice_ieqs(rest, "never")) {
		o->notify = "NEVER";
		return;
	}
	bool bad = !rest.len;
	while (rest.len) {
		struct slice word = slice_cut(&rest, ',');
		size_t i = 0;
		while (i < 3 && !slice_ieqs(word, WORDS[i]))
			i++;
		bad = bad || i == 3;
		if (i < 3 && !strstr(all, WORDS[i]))
			all = pool_printf(pool, "%s%s%s", all, *all ? "," : "", WORDS[i]);
	}
	o->notify = all;
	if (bad)
		wrong(pool, o, "not never, or of success,failure,delay", arg);
}

static void ret(struct pool *pool, struct opts *o, const char *arg)
{
	if (slice_ieqs(slice_of(arg), "full"))
		o->ret = "FULL";
	else if (slice_ieqs(slice_of(arg), "hdrs"))
		o->ret = "HDRS";
	else
		wrong(pool, o, "neither full nor hdrs", arg);
}

static void envid(struct pool *pool, struct opts *o, const char *arg)
{
	struct buf x = {0};
	if (!*arg || !str_print(slice_of(arg)) || !xtext_encode(&x, slice_of(arg)) || x.len > 100)
		wrong(pool, o, "no envelope id", arg);
	else
		o->envid = pool_strdup(pool, buf_cstr(&x));
	buf_free(&x);
}

static const struct {
	char letter;
	enum arg arg;
	opt_fn *fn;
} OPTIONS[] = {
    {'A', NEEDED, ignored}, /* which configuration */
    {'B', NEEDED, body},      {'b', NEEDED, mode},
    {'C', NEEDED, ignored}, /* configuration */
    {'D', NEEDED, ignored}, /* file for debugging: never written */
    {'d', ATTACHED, ignored}, {'E', NONE, ignored},
    {'e', NEEDED, ignored}, /* what to do about errors: they are printed */
    {'F', NEEDED, name},      {'f', NEEDED, sender},
    {'G', NONE, ignored},     {'h', NEEDED, ignored}, /* hops: smtpd counts the Received fields */
    {'I', NONE, aliases},     {'i', NONE, dots},
    {'L', NEEDED, ignored},   {'M', NEEDED, ignored},
    {'m', NONE, ignored},     {'N', NEEDED, notify},
    {'n', NONE, ignored},     {'O', NEEDED, long_option},
    {'o', NEEDED, option},    {'p', NEEDED, ignored},
    {'q', ATTACHED, queue},   {'R', NEEDED, ret},
    {'r', NEEDED, sender},    {'s', NONE, ignored},
    {'T', NONE, ignored},     {'t', NONE, extract},
    {'U', NONE, ignored},     {'V', NEEDED, envid},
    {'v', NONE, verbose},     {'X', NEEDED, ignored}, /* file for the dialogue: never written */
    {'x', NONE, ignored},
};
#define COUNT (sizeof(OPTIONS) / sizeof(OPTIONS[0]))

/* A word of letters behind a dash; argv is on to the last word that was used. */
static void word(struct pool *pool, struct opts *o, char ***argv)
{
	for (const char *p = **argv + 1; *p && !o->error; p++) {
		size_t i = 0;
		while (i < COUNT && OPTIONS[i].letter != *p)
			i++;
		if (i == COUNT) {
			wrong(pool, o, "unknown option", pool_printf(pool, "-%c", *p));
			return;
		}
		if (OPTIONS[i].arg == NONE) {
			OPTIONS[i].fn(pool, o, "");
			continue;
		}
		const char *arg = p + 1;
		if (!*arg && OPTIONS[i].arg == NEEDED) {
			if (!(*argv)[1]) {
				wrong(pool, o, "needs an argument", pool_printf(pool, "-%c", *p));
				return;
			}
			arg = *++*argv;
		}
		OPTIONS[i].fn(pool, o, arg);
		return;
	}
}

static enum mode mode_of(const char *program)
{
	const char *slash = program ? strrchr(program, '/') : NULL;
	const char *base = slash ? slash + 1 : program;
	if (base && strcmp(base, "mailq") == 0)
		return MODE_QUEUE;
	return base && strcmp(base, "newaliases") == 0 ? MODE_ALIASES : MODE_DELIVER;
}

bool opts_read(struct pool *pool, char **argv, struct opts *out)
{
	size_t n = 0, to = 0;
	while (argv[n])
		n++;
	*out = (struct opts){.mode = mode_of(argv[0]),
			     .to = pool_alloc(pool, (n + 1) * sizeof(*out->to))};
	if (n)
		argv++;
	for (; *argv && !out->error; argv++) {
		if (strcmp(*argv, "--") == 0) {
			argv++;
			break;
		}
		if ((*argv)[0] == '-' && (*argv)[1])
			word(pool, out, &argv);
		else
			out->to[to++] = *argv;
	}
	while (!out->error && *argv)
		out->to[to++] = *argv++;
	return !out->error;
}
