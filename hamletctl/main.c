/* hamletctl [-c CONFDIR] [-r RUNDIR] [--json] [--password-stdin] NOUN VERB ... */
#include "hamletctl/hamletctl.h"
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rundir.h"
#include "libcommon/base/str.h"

enum {
	OPT_JSON = 256,
	OPT_PASSWORD,
	OPT_WORD, /* it is a word of the command */
	WORDS_MAX = 8,
	OPTION_MAX = 16,
};

/* The options of commands are words to them, the last ones, wherever they were typed. */
static struct {
	const char *word[WORDS_MAX];
	char option[WORDS_MAX][OPTION_MAX]; /* with its hyphens */
	int n;
} tail;

static void add(const char *name, const char *value)
{
	char *option = tail.option[tail.n];
	if (tail.n + 2 > WORDS_MAX || !str_fmt(option, OPTION_MAX, "--%s", name))
		return; /* no command takes as many: this is one word too many, too */
	tail.word[tail.n++] = option;
	if (value)
		tail.word[tail.n++] = value;
}

static int run(int argc, char **argv)
{
	const char **word = mem_alloc((size_t)(argc + tail.n + 1) * sizeof(*word));
	for (int i = 0; i < argc; i++)
		word[i] = argv[i];
	for (int i = 0; i < tail.n; i++)
		word[argc + i] = tail.word[i];
	int status = cmd_run(argc + tail.n, word);
	free(word);
	return status;
}

#define FLAG(name)                                  \
	{                                           \
		(name), no_argument, NULL, OPT_WORD \
	}
#define VALUE(name)                                       \
	{                                                 \
		(name), required_argument, NULL, OPT_WORD \
	}
static const struct option longs[] = {{"json", no_argument, NULL, OPT_JSON},
				      {"password-stdin", no_argument, NULL, OPT_PASSWORD},
				      {"help", no_argument, NULL, 'h'},
				      {"version", no_argument, NULL, 'V'},
				      VALUE("to"),
				      VALUE("from"),
				      FLAG("all"),
				      VALUE("ttl"),
				      VALUE("algorithm"),
				      FLAG("yes"),
				      FLAG("below"),
				      FLAG("force"),
				      FLAG("roll"),
				      FLAG("emergency"),
				      FLAG("ds-seen"),
				      {NULL, 0, NULL, 0}};

/* -1: go on; else the exit status. Options may stand anywhere: people add --json at the end. "--"
 * ends them. */
static int read_options(int argc, char **argv, const char **conf_dir)
{
	int opt, at;
	while ((opt = getopt_long(argc, argv, "c:r:hV", longs, &at)) != -1) {
		switch (opt) {
		case 'c':
			*conf_dir = optarg;
			break;
		case 'r':
			options.run_dir = optarg;
			break;
		case OPT_JSON:
			options.json = true;
			break;
		case OPT_PASSWORD:
			options.password_stdin = true;
			break;
		case OPT_WORD:
			add(longs[at].name, optarg);
			break;
		case 'h':
			cmd_help(stdout, NULL);
			return 0;
		case 'V':
			printf("hamletctl %s\n", HAMLET_VERSION);
			return 0;
		default:
			return EX_USAGE;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	const char *conf_dir = "/etc/hamlet";
	signal(SIGPIPE, SIG_IGN);
	clock_init();
	log_init("hamletctl", LOG_TO_STDERR, LOG_LV_WARN);
	int status = read_options(argc, argv, &conf_dir);
	if (status >= 0)
		return status;
	struct pool *pool = pool_new(0);
	if (!options.run_dir)
		options.run_dir = rundir_find(pool, conf_dir);
	status = run(argc - optind, argv + optind);
	pool_free(&pool);
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain(EX_IOERR, "cannot write to standard output");
	return status;
}
