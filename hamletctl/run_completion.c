/* completion: a script for bash, made from the command table. */
#include "hamletctl/hamletctl.h"
#include <string.h>
#include <sysexits.h>

static bool first_of_noun(const struct cmd *c)
{
	for (const struct cmd *p = cmd_table; p != c; p++)
		if (strcmp(p->noun, c->noun) == 0)
			return false;
	return true;
}

static void verbs(const char *noun)
{
	bool any = false;
	for (const struct cmd *c = cmd_table; c->noun; c++)
		if (c->verb && strcmp(c->noun, noun) == 0) {
			printf("%s%s", any ? " " : "", c->verb);
			any = true;
		}
}

int run_completion(const struct cmd *c, int argc, const char *const *argv)
{
	(void)c;
	if (argc > 1 && strcmp(argv[1], "bash") != 0)
		return complain(EX_USAGE, "%s: completion is made for bash", argv[1]);
	puts("# bash completion for hamletctl: hamletctl completion bash "
	     "> /etc/bash_completion.d/hamletctl\n"
	     "_hamletctl() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=() i w=\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase ${COMP_WORDS[i]} in\n"
	     "\t\t-c | -r) i=$((i + 1)) ;;\n"
	     "\t\t-*) ;;\n"
	     "\t\t*) words+=(\"${COMP_WORDS[i]}\") ;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase \"${#words[@]}:${words[0]-}\" in");
	fputs("\t0:*) w=\"--json --password-stdin", stdout);
	for (const struct cmd *p = cmd_table; p->noun; p++)
		if (first_of_noun(p))
			printf(" %s", p->noun);
	puts("\" ;;");
	for (const struct cmd *p = cmd_table; p->noun; p++) {
		if (!p->verb || !first_of_noun(p))
			continue;
		printf("\t1:%s) w=\"", p->noun);
		verbs(p->noun);
		puts("\" ;;");
	}
	puts("\t2:queue) w=\"--all --from --to\" ;;\n"
	     "\t*:dns) w=\"--below\" ;;\n"
	     "\t*:zone) w=\"--ttl --yes --force --roll --emergency --ds-seen\" ;;\n"
	     "\tesac\n"
	     "\tmapfile -t COMPREPLY < <(compgen -W \"$w\" -- \"$cur\")\n"
	     "}\n"
	     "complete -F _hamletctl hamletctl");
	return 0;
}
