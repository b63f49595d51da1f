# bash completion for cprotod(8).
_cprotod() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  case $previous in
    --config) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    --directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    --host | --port | --max-size) ;;
    *) mapfile -t COMPREPLY < <(compgen -W "--config --directory --host --port --max-size --check-config --print-config --verify
         --version -h --help" -- "$current") ;;
  esac
}
complete -F _cprotod cprotod
