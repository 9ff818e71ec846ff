/* The command table: parser, dispatcher, HELP and the rules of order at once. */
#include "smtpd/smtpd.h"
#include "libcommon/base/log.h"

#define C_SMTP  1u /* in SMTP and submission */
#define C_LMTP  2u /* in LMTP */
#define C_BOTH  (C_SMTP | C_LMTP)
#define C_PIPES 4u  /* may run while answers are to come */
#define C_NOARG 8u  /* takes no argument */
#define C_IDLE  16u /* leads nowhere: counted */
#define C_LONG  32u /* its line may be long */

struct command {
	const char *name;
	cmd_fn *fn;
	unsigned flags;
	const char *usage; /* for HELP; NULL: not shown */
};

static const struct command COMMANDS[] = {
    {"EHLO", cmd_ehlo, C_SMTP | C_IDLE, "EHLO domain"},
    {"HELO", cmd_helo, C_SMTP | C_IDLE, "HELO domain"},
    {"LHLO", cmd_lhlo, C_LMTP | C_IDLE, "LHLO domain"},
    {"MAIL", cmd_mail, C_BOTH,
     "MAIL FROM:<address> [SIZE=n] [BODY=7BIT|8BITMIME|BINARYMIME] [SMTPUTF8] [RET=FULL|HDRS] "
     "[ENVID=id] [AUTH=address] [HOLDFOR=seconds|HOLDUNTIL=date-time] [BY=seconds;R|N[T]] "
     "[REQUIRETLS]"},
    {"RCPT", cmd_rcpt, C_BOTH | C_PIPES,
     "RCPT TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;address]"},
    {"DATA", cmd_data, C_BOTH | C_NOARG, "DATA"},
    {"BDAT", cmd_bdat, C_BOTH, "BDAT octets [LAST]"},
    {"RSET", cmd_rset, C_BOTH | C_NOARG | C_IDLE, "RSET"},
    {"QUIT", cmd_quit, C_BOTH | C_NOARG, "QUIT"},
    {"NOOP", cmd_noop, C_BOTH | C_IDLE, "NOOP [text]"},
    {"AUTH", cmd_auth, C_SMTP | C_LONG, "AUTH mechanism [initial-response]"},
    {"STARTTLS", cmd_starttls, C_BOTH | C_NOARG, "STARTTLS"},
    {"VRFY", cmd_vrfy, C_BOTH | C_IDLE, "VRFY address"},
    {"EXPN", cmd_expn, C_BOTH | C_IDLE, NULL},
    {"HELP", cmd_help, C_BOTH | C_IDLE, "HELP [command]"},
    /* A browser that was led here: nothing that it sends is meant for us. */
    {"GET", cmd_foreign, C_BOTH, NULL},
    {"POST", cmd_foreign, C_BOTH, NULL},
    {"HEAD", cmd_foreign, C_BOTH, NULL},
    {"PUT", cmd_foreign, C_BOTH, NULL},
    {"OPTIONS", cmd_foreign, C_BOTH, NULL},
    {"CONNECT", cmd_foreign, C_BOTH, NULL},
    {"HOST:", cmd_foreign, C_BOTH, NULL},
};

#define COUNT (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

static const struct command *find(struct slice name)
{
	for (size_t i = 0; i < COUNT; i++)
		if (slice_ieqs(name, COMMANDS[i].name))
			return &COMMANDS[i];
	return NULL;
}

static bool speaks(const struct session *s, const struct command *c)
{
	return c->flags & (s->service->lmtp ? C_LMTP : C_SMTP);
}

bool cmd_pipes(struct slice line)
{
	bool fits = line.len + 2 <= COMMAND_MAX; /* else the answer is a mistake's, and waits */
	const struct command *c = find(slice_word(&line));
	return fits && c && (c->flags & C_PIPES);
}

enum cmd_result cmd_run(struct session *s, struct slice line)
{
	size_t len = line.len;
	const struct command *c = find(slice_word(&line));
	struct slice args = slice_trim(line);
	if (len + 2 > COMMAND_MAX && !(c && (c->flags & C_LONG)))
		reply(s, 500, "5.5.2", "line too long");
	else if (!c || !speaks(s, c))
		reply(s, 500, "5.5.1", "unknown command");
	else if ((c->flags & C_NOARG) && args.len)
		reply(s, 501, "5.5.4", "%s takes no argument", c->name);
	else {
		if (c->flags & C_IDLE)
			s->idle_commands++;
		return c->fn(s, args);
	}
	return CMD_DONE;
}

enum cmd_result cmd_help(struct session *s, struct slice args)
{
	const struct command *c = args.len ? find(args) : NULL;
	if (args.len && (!c || !c->usage || !speaks(s, c))) {
		reply(s, 504, "5.5.1", "no help on that; try HELP");
		return CMD_DONE;
	}
	if (c) {
		reply(s, 214, "2.0.0", "%s", c->usage);
		return CMD_DONE;
	}
	for (size_t i = 0; i < COUNT; i++)
		if (COMMANDS[i].usage && speaks(s, &COMMANDS[i]))
			reply_line(s, 214, false, "2.0.0 %s", COMMANDS[i].usage);
	reply(s, 214, "2.0.0", "End of HELP");
	return CMD_DONE;
}

enum cmd_result cmd_noop(struct session *s, struct slice args)
{
	(void)args;
	reply(s, 250, "2.0.0", "OK");
	return CMD_DONE;
}

enum cmd_result cmd_rset(struct session *s, struct slice args)
{
	(void)args;
	session_reset(s);
	reply(s, 250, "2.0.0", "OK");
	return CMD_DONE;
}

enum cmd_result cmd_quit(struct session *s, struct slice args)
{
	(void)args;
	reply(s, 221, "2.0.0", "%s closing", conf.hostname);
	return CMD_CLOSE;
}

/* Who exists is not told (RFC 5321 7.3). */
enum cmd_result cmd_vrfy(struct session *s, struct slice args)
{
	if (args.len)
		reply(s, 252, "2.5.2", "cannot VRFY user, but send mail and see");
	else
		reply(s, 501, "5.5.4", "VRFY needs an address");
	return CMD_DONE;
}

enum cmd_result cmd_expn(struct session *s, struct slice args)
{
	(void)args;
	reply(s, 502, "5.7.2", "lists are not expanded here");
	return CMD_DONE;
}

enum cmd_result cmd_foreign(struct session *s, struct slice args)
{
	(void)args;
	log_event(LOG_LV_WARN, s->sid, "foreign-protocol", LS("peer", s->ip));
	reply(s, 421, "4.7.0", "%s this is a mail server", conf.hostname);
	return CMD_CLOSE;
}
