package commands

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// translate translates the help of a command and its subcommands to the language of the terminal.
func translate(c *cobra.Command) {
	if Locale() == "en" {
		return
	}
	root := c.Root()
	if c == root {
		root.InitDefaultHelpCmd()
		root.InitDefaultCompletionCmd()
		root.SetUsageTemplate(translated(root.UsageTemplate()))
	}
	c.InitDefaultHelpFlag()
	c.Short, c.Long = Text(c.Short), Text(c.Long)
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			f.Usage = strings.Replace(Text("help for COMMAND"), "COMMAND", c.Name(), 1)
			return
		}
		f.Usage = Text(f.Usage)
	})
	for _, below := range c.Commands() {
		if below.Name() != "completion" {
			translate(below)
		}
	}
}

// usageWords are the texts in cobra's usage template.
var usageWords = []string{"Usage:", "Examples:", "Available Commands:", "Additional Commands:", "Global Flags:", "Flags:", "[command]", "[flags]",
	`Use "{{.CommandPath}} [command] --help" for more information about a command.`}

func translated(template string) string {
	pairs := make([]string, 0, 2*len(usageWords))
	for i := len(usageWords) - 1; i >= 0; i-- { // the sentence before the words it contains
		pairs = append(pairs, usageWords[i], Text(usageWords[i]))
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

// flagError translates an error of the flags, which the library reports only in English.
func flagError(c *cobra.Command, err error) error {
	if Locale() == "en" {
		return err
	}
	return flagProblem{Text("a flag of this command is wrong or unknown: ") + strings.TrimSpace(quoted(err.Error())+" ("+c.CommandPath()+")"), err}
}

type flagProblem struct {
	text string
	error
}

func (e flagProblem) Error() string { return e.text }
func (e flagProblem) Unwrap() error { return e.error }

// quoted returns the flag named in an error of the flags.
func quoted(text string) string {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \"':,", r) }) {
		if strings.HasPrefix(word, "-") {
			return word
		}
	}
	return ""
}
