/* The command table: parser, dispatcher and the rules of order at once. */
#include "pop3d/pop3d.h"

#define A_OR_T (STATE_AUTH | STATE_TRANS)

enum { C_RAW = 1 /* one argument: the rest of the line */, C_LONG = 2 /* its line may be long */ };

static const struct command {
	const char *name;
	unsigned states;
	unsigned min, max; /* arguments */
	unsigned flags;
	cmd_fn *fn;
	const char *usage;
} COMMANDS[] = {
    {"RETR", STATE_TRANS, 1, 1, 0, cmd_retr, "RETR message"},
    {"DELE", STATE_TRANS, 1, 1, 0, cmd_dele, "DELE message"},
    {"TOP", STATE_TRANS, 2, 2, 0, cmd_top, "TOP message lines"},
    {"LIST", STATE_TRANS, 0, 1, 0, cmd_list, "LIST [message]"},
    {"UIDL", STATE_TRANS, 0, 1, 0, cmd_uidl, "UIDL [message]"},
    {"STAT", STATE_TRANS, 0, 0, 0, cmd_stat, "STAT"},
    {"NOOP", STATE_TRANS, 0, 0, 0, cmd_noop, "NOOP"},
    {"RSET", STATE_TRANS, 0, 0, 0, cmd_rset, "RSET"},
    {"QUIT", A_OR_T, 0, 0, 0, cmd_quit, "QUIT"},
    {"CAPA", A_OR_T, 0, 0, 0, cmd_capa, "CAPA"},
    {"LANG", A_OR_T, 0, 1, 0, cmd_lang, "LANG [language]"},
    {"USER", STATE_AUTH, 1, 1, C_RAW, cmd_user, "USER name"},
    {"PASS", STATE_AUTH, 1, 1, C_RAW, cmd_pass, "PASS password"},
    {"AUTH", STATE_AUTH, 0, 2, C_LONG, cmd_auth, "AUTH mechanism [initial-response]"},
    {"STLS", STATE_AUTH, 0, 0, 0, cmd_stls, "STLS"},
    {"UTF8", STATE_AUTH, 0, 0, 0, cmd_utf8, "UTF8"},
    /* A browser that was led here: nothing that it sends is meant for us. */
    {"GET", A_OR_T, 0, 1, C_RAW | C_LONG, cmd_foreign, ""},
    {"HEAD", A_OR_T, 0, 1, C_RAW | C_LONG, cmd_foreign, ""},
    {"POST", A_OR_T, 0, 1, C_RAW | C_LONG, cmd_foreign, ""},
    {"PUT", A_OR_T, 0, 1, C_RAW | C_LONG, cmd_foreign, ""},
    {"OPTIONS", A_OR_T, 0, 1, C_RAW | C_LONG, cmd_foreign, ""},
    {"CONNECT", A_OR_T, 0, 1, C_RAW | C_LONG, cmd_foreign, ""},
    {"HOST:", A_OR_T, 0, 1, C_RAW | C_LONG, cmd_foreign, ""},
};

static const struct command *find(struct slice name)
{
	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++)
		if (slice_ieqs(name, COMMANDS[i].name))
			return &COMMANDS[i];
	return NULL;
}

/* False: more words than a command has. */
static bool split(const struct command *c, struct slice rest, struct args *a)
{
	a->n = 0;
	if (c->flags & C_RAW) {
		/* One blank parts them; passwords may have more of their own. */
		if (rest.len > 1)
			a->v[a->n++] = (struct slice){rest.p + 1, rest.len - 1};
		return true;
	}
	for (;;) {
		struct slice w = slice_word(&rest);
		if (!w.len)
			return true;
		if (a->n == ARGS_MAX)
			return false;
		a->v[a->n++] = w;
	}
}

static size_t longest(const struct command *c)
{
	if (c && c->flags & C_LONG)
		return AUTH_MAX;
	return c && c->flags & C_RAW ? LOGIN_MAX : COMMAND_MAX;
}

enum cmd_result cmd_wrong(struct session *s, const char *text)
{
	s->errors++;
	reply_err(s, NULL, "%s", text);
	return CMD_DONE;
}

enum cmd_result cmd_run(struct session *s, struct slice line)
{
	struct args a;
	struct slice rest = line;
	const struct command *c = find(slice_word(&rest));
	if (line.len + 2 > longest(c))
		return cmd_wrong(s, "line too long");
	if (!c)
		return cmd_wrong(s, "unknown command");
	if (!(c->states & s->state))
		return cmd_wrong(s, s->state == STATE_AUTH ? "log in first"
							   : "you are logged in already");
	if (!split(c, rest, &a) || a.n < c->min || a.n > c->max) {
		s->errors++;
		reply_err(s, NULL, "usage: %s", c->usage);
		return CMD_DONE;
	}
	return c->fn(s, &a);
}
