/* What the reply to EHLO offers, and the tables of steps: names and times. */
#include "smtpd/out_int.h"

static const struct {
	const char *name;
	unsigned flag;
} CAPS[] =
    {
	{"PIPELINING", OUT_CAP_PIPELINING},
	{"SIZE", OUT_CAP_SIZE},
	{"8BITMIME", OUT_CAP_8BITMIME},
	{"SMTPUTF8", OUT_CAP_SMTPUTF8},
	{"CHUNKING", OUT_CAP_CHUNKING},
	{"BINARYMIME", OUT_CAP_BINARYMIME},
	{"DSN", OUT_CAP_DSN},
	{"ENHANCEDSTATUSCODES", OUT_CAP_STATUS},
	{"REQUIRETLS", OUT_CAP_REQUIRETLS},
	{"LIMITS", OUT_CAP_LIMITS},
	{"STARTTLS", OUT_CAP_STARTTLS},
	{"AUTH", OUT_CAP_AUTH},
	{"DELIVERBY", OUT_CAP_DELIVERBY},
},
  MECHS[] = {
      {"SCRAM-SHA-256-PLUS", OUT_AUTH_SCRAM_SHA256_PLUS},
      {"SCRAM-SHA-256", OUT_AUTH_SCRAM_SHA256},
      {"SCRAM-SHA-1", OUT_AUTH_SCRAM_SHA1},
      {"PLAIN", OUT_AUTH_PLAIN},
      {"LOGIN", OUT_AUTH_LOGIN},
};

static void auth_read(struct slice args, struct out_caps *caps)
{
	for (struct slice w = slice_word(&args); w.len; w = slice_word(&args))
		for (size_t i = 0; i < sizeof(MECHS) / sizeof(MECHS[0]); i++)
			if (slice_ieqs(w, MECHS[i].name))
				caps->auth |= MECHS[i].flag;
}

static void limits_read(struct slice args, struct out_caps *caps)
{
	for (struct slice w = slice_word(&args); w.len; w = slice_word(&args)) {
		struct slice name = slice_cut(&w, '=');
		uint64_t n;
		if (!str_u64(w, &n) || n == 0)
			continue;
		if (slice_ieqs(name, "MAILMAX"))
			caps->mail_max = n;
		else if (slice_ieqs(name, "RCPTMAX"))
			caps->rcpt_max = n;
	}
}

static void cap_read(struct slice line, struct out_caps *caps)
{
	struct slice args = line, word = slice_word(&args);
	unsigned flag = 0;
	/* "AUTH=LOGIN ..." is how it was written before there was an RFC; some still do. */
	if (slice_istarts(word, "AUTH=")) {
		auth_read((struct slice){line.p + 5, line.len - 5}, caps);
		word.len = 4;
	}
	for (size_t i = 0; i < sizeof(CAPS) / sizeof(CAPS[0]); i++)
		if (slice_ieqs(word, CAPS[i].name))
			flag = CAPS[i].flag;
	caps->flags |= flag;
	if (flag == OUT_CAP_AUTH)
		auth_read(args, caps);
	else if (flag == OUT_CAP_LIMITS)
		limits_read(args, caps);
	else if (flag == OUT_CAP_SIZE && !str_u64(slice_trim(args), &caps->size))
		caps->size = 0;
	else if (flag == OUT_CAP_DELIVERBY && !str_u64(slice_trim(args), &caps->by_min))
		caps->by_min = 0;
}

void out_caps_read(struct slice text, struct out_caps *caps)
{
	slice_cut(&text, '\n'); /* the server's name and its welcome */
	while (text.len)
		cap_read(slice_cut(&text, '\n'), caps);
}

const char *out_step_name(enum out_step step)
{
	static const char *const NAME[] = {
	    [OUT_GREETING] = "connect",   [OUT_EHLO] = "EHLO",     [OUT_HELO] = "HELO",
	    [OUT_STARTTLS] = "STARTTLS",  [OUT_HANDSHAKE] = "TLS", [OUT_AUTH] = "AUTH",
	    [OUT_READY] = "idle",         [OUT_RSET] = "RSET",     [OUT_MAIL] = "MAIL FROM",
	    [OUT_RCPT] = "RCPT TO",       [OUT_DATA] = "DATA",     [OUT_BODY] = "content",
	    [OUT_DOT] = "end of content",
	};
	return NAME[step];
}

void out_times_default(struct out_times *t)
{
	enum { SEC = 1000, MIN = 60 * SEC };
	const struct {
		uint64_t *at, otherwise;
	} each[] = {
	    {&t->greeting, 5 * MIN},  {&t->hello, 5 * MIN}, {&t->auth, 2 * MIN},
	    {&t->mail, 5 * MIN},      {&t->rcpt, 5 * MIN},  {&t->data, 2 * MIN},
	    {&t->block, 3 * MIN},     {&t->dot, 10 * MIN},  {&t->setup, 10 * MIN},
	    {&t->mail_all, 60 * MIN}, {&t->min_rate, 1000},
	};
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		if (*each[i].at == 0)
			*each[i].at = each[i].otherwise;
}
