// The prompts above the composer for exceptional states of the conversation: closed (asks for a rating), team away (asks for
// contact details), blocked, deleted. Loaded with the first of them.
import { icon, make, showProblem, styles } from '../lib/dom.js';
import { has, t } from '../lib/i18n.js';

await styles('prompts');

const words = (/** @type {string} */ title, /** @type {string} */ text) => make('div', { className: 'offer-words' }, make('h2', {}, title), text && make('p', { className: 'quiet' }, text));
const why = (/** @type {string | undefined} */ code) => t(has(`talk.failed_${code}`) ? `talk.failed_${code}` : 'talk.failed');

export const blocked = () => [words(t('visitor.state_blocked'), t('visitor.blocked_next'))];
export const ended = () => [words(t('visitor.ended'), t('visitor.ended_next'))];

/**
 * The conversation is closed: asks for a rating of one to five glasses of tea and an optional comment. Each choice is sent at once and
 * can be changed.
 * @param {{score: number, rate: (score: number, comment?: string) => Promise<void>}} o score: 0 = none yet
 */
export function closed({ score, rate }) {
  const problem = make('p', { className: 'problem', hidden: true, attrs: { role: 'alert' } });
  const said = make('p', { className: 'quiet offer-said', attrs: { role: 'status' } });
  const comment = make('textarea', { className: 'input', id: 'rating-comment', rows: 2, maxLength: 1000 });
  const more = make('form', { className: 'offer-form', hidden: !score },
    make('label', { htmlFor: 'rating-comment' }, t('visitor.rate_comment')), comment,
    make('button', { className: 'button', type: 'submit' }, t('visitor.rate_send')));
  /** @param {number} value @param {string} [text] */
  const sendRating = async (value, text) => {
    showProblem(problem, '');
    try {
      await rate(value, text);
      score = value;
      said.textContent = text === undefined ? t(`visitor.rate_${value}`) : t('visitor.rate_thanks');
      more.hidden = text !== undefined;
    } catch (error) {
      showProblem(problem, why(/** @type {Failure} */ (error).code));
    }
  };
  const glasses = [1, 2, 3, 4, 5].map((value) => make('label', { className: 'glass', title: t(`visitor.rate_${value}`) },
    make('input', { type: 'radio', name: 'score', value: String(value), checked: value === score, onchange: () => sendRating(value) }),
    icon('tea'), make('span', { className: 'unseen' }, t(`visitor.rate_${value}`))));
  more.addEventListener('submit', (event) => {
    event.preventDefault();
    sendRating(score, comment.value.trim());
  });
  if (score) said.textContent = t(`visitor.rate_${score}`);
  return [words(t('visitor.closed_title'), t('visitor.closed_next')),
    make('fieldset', { className: 'rating' }, make('legend', {}, t('visitor.rate')), make('div', { className: 'glasses' }, ...glasses), said), more, problem];
}

/**
 * The team is away: asks how to notify the visitor of the answer. Giving an address is optional.
 * @param {{phone: string, contact: (how: {email?: string, phone_number?: string}) => Promise<void>, dismiss: () => void}} o
 */
export function away({ phone, contact, dismiss }) {
  const email = make('input', { className: 'input', id: 'contact-email', type: 'email', autocomplete: 'email', maxLength: 254 });
  const number = make('input', { className: 'input', id: 'contact-phone', type: 'tel', autocomplete: 'tel', maxLength: 20, value: phone });
  const problem = make('p', { className: 'problem', id: 'contact-problem', hidden: true, attrs: { role: 'alert' } });
  const problems = new Map();
  const field = (/** @type {HTMLInputElement} */ input, /** @type {string} */ label) => {
    const below = make('p', { className: 'problem', id: `${input.id}-problem`, hidden: true, attrs: { role: 'alert' } });
    problems.set(input, below);
    input.setAttribute('aria-describedby', below.id);
    return make('div', { className: 'field' }, make('label', { htmlFor: input.id }, label), input, below);
  };
  /** Shows an error below a field, or below the form if input is null. @param {HTMLInputElement | null} input @param {string} text */
  const wrong = (input, text) => {
    for (const [one, below] of problems) {
      one.toggleAttribute('aria-invalid', false);
      showProblem(below, one === input ? text : '');
    }
    showProblem(problem, input ? '' : text);
    input?.setAttribute('aria-invalid', 'true');
    input?.focus();
  };
  const form = make('form', { className: 'offer-form contact', noValidate: true }, field(email, t('visitor.email')), field(number, t('visitor.phone')), problem,
    make('div', { className: 'offer-actions' }, make('button', { className: 'button', type: 'submit' }, t('visitor.contact_leave')),
      make('button', { className: 'button plain', type: 'button', onclick: dismiss }, t('visitor.contact_no'))));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const how = { ...(email.value.trim() && { email: email.value.trim() }), ...(number.value.trim() && { phone_number: number.value.trim() }) };
    if (!how.email && !how.phone_number) return wrong(email, t('visitor.contact_missing'));
    if (how.email && !email.checkValidity()) return wrong(email, t('visitor.email_refused'));
    wrong(null, '');
    try {
      await contact(how);
    } catch (error) {
      const { code, field: wanting } = /** @type {Failure} */ (error);
      if (code === 'validation_error') wrong(wanting === 'phone_number' ? number : email, t(wanting === 'phone_number' ? 'visitor.phone_refused' : 'visitor.email_refused'));
      else wrong(null, why(code));
    }
  });
  return [words(t('visitor.away_title'), t('visitor.away_next')), form];
}
